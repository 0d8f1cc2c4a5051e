//! What crosses to JavaScript: text in the form that is cheapest to make a string of, in flat arrays.

use std::ptr;

use napi::bindgen_prelude::{Result, ToNapiValue};
use napi::{check_status, sys};
use vibekit_core::protocol::Channel;

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

/// Text on its way to a JavaScript string. V8 reads ASCII and UTF-16 at memory speed, but decodes UTF-8 some forty
/// times slower and on the event loop's time, so anything beyond ASCII is transcoded on the thread that made it.
pub(crate) enum Text {
    Ascii(String),
    Wide(Vec<u16>),
}

impl Text {
    /// Bytes it occupies.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Ascii(text) => text.len(),
            Self::Wide(units) => units.len() * 2,
        }
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        if text.is_ascii() { Self::Ascii(text) } else { Self::Wide(text.encode_utf16().collect()) }
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
                check_status!(sys::napi_set_element(env, array, at + 1, string(env, &text)?))?;
            }
        }
        Ok(array)
    }
}

/// Makes the JavaScript string.
///
/// # Safety
/// `env` must be the live environment of the running callback.
unsafe fn string(env: sys::napi_env, text: &Text) -> Result<sys::napi_value> {
    let mut value = ptr::null_mut();
    let status = match text {
        // SAFETY: pointer and length are those of a live buffer; Latin-1 of ASCII is ASCII.
        Text::Ascii(text) => unsafe {
            sys::napi_create_string_latin1(
                env,
                text.as_ptr().cast(),
                text.len().cast_signed(),
                &raw mut value,
            )
        },
        // SAFETY: pointer and length (in units) are those of a live buffer.
        Text::Wide(units) => unsafe {
            sys::napi_create_string_utf16(env, units.as_ptr(), units.len().cast_signed(), &raw mut value)
        },
    };
    check_status!(status, "Cannot make a string of {} bytes", text.size())?;
    Ok(value)
}
