//! The napi binding of vibekit-native: conversion, no behaviour.
//!
//! # Design
//!
//! The public class is a JavaScript class (`lib/vibekit.js`) over the free functions exported here. Jest and other
//! test runners evaluate a package in a realm of their own while native code always runs in Node's main realm, so a
//! promise or an error made here would fail `instanceof` in the caller's. Therefore Rust makes neither: it returns
//! strings and numbers, failures cross as JSON, and the `async` methods of the shim give genuine promises and throw
//! genuine errors of the caller's realm.
//!
//! * Synchronous exports convert, call one function of a crate below, and convert back. Each carries `catch_unwind`.
//! * Asynchronous operations have one ordered channel each ([`channel`]): events and outcome travel in the same queue.
//! * All work runs on one small tokio runtime of the addon's own ([`runtime`]); nothing blocks the event loop.
//!
//! `lib/native.d.ts` is the contract, with names in the same order as here.

#![allow(unreachable_pub, reason = "exports are reached through their registration with Node-API")]
#![cfg_attr(test, allow(dead_code, unused_imports, reason = "nothing is registered in tests"))]

mod channel;
mod failure;
mod frames;
mod machine;
mod packed;
mod runtime;
mod sandbox;
mod stepped;
mod telemetry;
mod text;

use napi_derive::napi;

/// Version of the addon; the loader refuses one that differs from the package's.
#[napi(catch_unwind)]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}
