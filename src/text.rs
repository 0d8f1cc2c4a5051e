//! Strings, as they cross.

use std::cell::RefCell;
use std::ptr;

use napi::bindgen_prelude::{FromNapiValue, Result, TypeName, Unknown, ValidateNapiValue};
use napi::{JsValue, ValueType, check_status, sys};

/// Text on its way to a JavaScript string. V8 reads ASCII and UTF-16 at memory speed, but decodes UTF-8 some forty
/// times slower and on the event loop's time, so anything beyond ASCII is transcoded on the thread that made it.
#[derive(PartialEq)]
pub(crate) enum Text {
    Ascii(Vec<u8>),
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

    /// Length of the string it becomes.
    pub(crate) fn units(&self) -> usize {
        match self {
            Self::Ascii(text) => text.len(),
            Self::Wide(units) => units.len(),
        }
    }

    /// Appends a text of the same width; gives it back if it has another.
    pub(crate) fn append(&mut self, next: Self) -> std::result::Result<(), Self> {
        match (self, next) {
            (Self::Ascii(text), Self::Ascii(next)) => text.extend_from_slice(&next),
            (Self::Wide(units), Self::Wide(next)) => units.extend_from_slice(&next),
            (_, next) => return Err(next),
        }
        Ok(())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        if text.is_ascii() {
            Self::Ascii(text.into_bytes())
        } else {
            Self::Wide(text.encode_utf16().collect())
        }
    }
}

/// Makes a JavaScript string of Latin-1.
///
/// # Safety
/// `env` must be the live environment of the running callback.
pub(crate) unsafe fn latin1(env: sys::napi_env, text: &[u8]) -> Result<sys::napi_value> {
    let mut value = ptr::null_mut();
    // SAFETY: pointer and length are those of a live buffer.
    let status = unsafe {
        sys::napi_create_string_latin1(env, text.as_ptr().cast(), text.len().cast_signed(), &raw mut value)
    };
    check_status!(status, "Cannot make a string of {} bytes", text.len())?;
    Ok(value)
}

/// Makes a JavaScript string of UTF-16.
///
/// # Safety
/// `env` must be the live environment of the running callback.
pub(crate) unsafe fn utf16(env: sys::napi_env, units: &[u16]) -> Result<sys::napi_value> {
    let mut value = ptr::null_mut();
    // SAFETY: pointer and length (in units) are those of a live buffer.
    let status = unsafe {
        sys::napi_create_string_utf16(env, units.as_ptr(), units.len().cast_signed(), &raw mut value)
    };
    check_status!(status, "Cannot make a string of {} units", units.len())?;
    Ok(value)
}

/// A JavaScript string as UTF-8; half a surrogate pair, which no process could receive, becomes U+FFFD. Unlike napi's
/// own `String` it asks for the length only of long ones.
pub(crate) struct Utf8(pub(crate) String);

impl TypeName for Utf8 {
    fn type_name() -> &'static str {
        "String"
    }

    fn value_type() -> ValueType {
        ValueType::String
    }
}

impl ValidateNapiValue for Utf8 {}

impl FromNapiValue for Utf8 {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> Result<Self> {
        const SHORT: usize = 256;
        let mut short = [0_u8; SHORT];
        let mut length = 0;
        // SAFETY: at most `SHORT` bytes are written, the closing NUL among them.
        let status = unsafe {
            sys::napi_get_value_string_utf8(env, value, short.as_mut_ptr().cast(), SHORT, &raw mut length)
        };
        check_status!(status, "A string is expected")?;
        // A character that did not fit may have left up to three bytes of room.
        let bytes = if length + 4 < SHORT {
            short[..length].to_vec()
        } else {
            // SAFETY: without a buffer only the length is told.
            let status =
                unsafe { sys::napi_get_value_string_utf8(env, value, ptr::null_mut(), 0, &raw mut length) };
            check_status!(status)?;
            let mut bytes = vec![0; length + 1];
            // SAFETY: the buffer has room for all of it and the closing NUL.
            let status = unsafe {
                sys::napi_get_value_string_utf8(
                    env,
                    value,
                    bytes.as_mut_ptr().cast(),
                    bytes.len(),
                    &raw mut length,
                )
            };
            check_status!(status)?;
            bytes.truncate(length);
            bytes
        };
        String::from_utf8(bytes).map(Self).map_err(|error| napi::Error::from_reason(error.to_string()))
    }
}

/// Runs `work` on the units of a string of at most `length` units, in memory that all of a thread's strings share.
pub(crate) fn with_units<T>(text: &Unknown<'_>, length: usize, work: impl FnOnce(&[u16]) -> T) -> Result<T> {
    /// Beyond this many units the memory is not kept.
    const KEPT: usize = 1 << 17;
    thread_local! {
        static UNITS: RefCell<Vec<u16>> = const { RefCell::new(Vec::new()) };
    }
    let value = text.value();
    UNITS.with_borrow_mut(|units| {
        if units.len() <= length {
            units.resize(length + 1, 0);
        }
        let mut copied = 0;
        // SAFETY: `value` is a live value of its environment; at most `length + 1` units are written, the closing NUL among
        // them.
        let status = unsafe {
            sys::napi_get_value_string_utf16(
                value.env,
                value.value,
                units.as_mut_ptr(),
                length + 1,
                &raw mut copied,
            )
        };
        check_status!(status, "A string is expected")?;
        let result = work(&units[..copied]);
        if units.len() > KEPT {
            *units = Vec::new();
        }
        Ok(result)
    })
}
