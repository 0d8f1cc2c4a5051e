//! The napi binding of vibekit-native.
