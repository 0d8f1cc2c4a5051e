//! What an operation delivers to JavaScript, in flat arrays.

use std::ptr;

use napi::bindgen_prelude::{Result, ToNapiValue};
use napi::{check_status, sys};
use vibekit_core::protocol::Channel;

use crate::text::{self, Text};

/// Kind of a frame. Values are those of `FrameKind` in `lib/native.d.ts`.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Done = 0,
    Fail = 1,
    Stdout = 2,
    Stderr = 3,
    Update = 4,
    Error = 5,
    Event = 6,
    Session = 7,
    ResultStdout = 8,
    ResultStderr = 9,
    Object = 10,
    Request = 11,
}

impl From<Channel> for Kind {
    fn from(channel: Channel) -> Self {
        match channel {
            Channel::Stdout => Self::Stdout,
            Channel::Stderr => Self::Stderr,
            Channel::Update => Self::Update,
            Channel::Error => Self::Error,
            Channel::Event => Self::Event,
            Channel::Object => Self::Object,
        }
    }
}

/// One delivery.
pub(crate) struct Frame(pub(crate) Kind, pub(crate) Text);

/// A batch, as `[kind, text, kind, text, …]`.
pub(crate) struct Frames(pub(crate) Vec<Frame>);

impl ToNapiValue for Frames {
    unsafe fn to_napi_value(env: sys::napi_env, frames: Self) -> Result<sys::napi_value> {
        let mut array = ptr::null_mut();
        // SAFETY: `env` is the live environment this conversion was called for; `array` outlives the call.
        check_status!(unsafe {
            sys::napi_create_array_with_length(env, frames.0.len() * 2, &raw mut array)
        })?;
        for (at, Frame(kind, text)) in frames.0.into_iter().enumerate() {
            let at = u32::try_from(at * 2).unwrap_or(u32::MAX);
            // SAFETY: as above; `array` is a live array of this handle scope.
            unsafe {
                let mut number = ptr::null_mut();
                check_status!(sys::napi_create_uint32(env, kind as u32, &raw mut number))?;
                check_status!(sys::napi_set_element(env, array, at, number))?;
                let text = match &text {
                    Text::Ascii(bytes) => text::latin1(env, bytes)?,
                    Text::Wide(units) => text::utf16(env, units)?,
                };
                check_status!(sys::napi_set_element(env, array, at + 1, text))?;
            }
        }
        Ok(array)
    }
}
