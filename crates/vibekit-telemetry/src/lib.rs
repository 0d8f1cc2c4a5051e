//! OTLP spans of calls: one exporter per instance, nothing global.

#![forbid(unsafe_code)]
