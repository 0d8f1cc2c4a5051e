//! Actions in one string, so that a step over a JavaScript provider is one crossing that makes one value.

use napi::bindgen_prelude::{Result, ToNapiValue};
use napi::sys;
use vibekit_core::Program;
use vibekit_core::protocol::Action;
use vibekit_driver::Timers;

use crate::frames::Kind;
use crate::text::{self, Text};

/// What an action begins with. Values are those of `PackedKind` in `lib/native.d.ts`.
#[derive(Clone, Copy)]
enum Head {
    Json = 0,
    Emit = 1,
    Run = 2,
    Answer = 3,
    Flush = 4,
}

/// Units below 256 as long as all text is ASCII, which V8 takes fastest.
pub(crate) struct Packed(Text);

impl Packed {
    /// Without an action. The first unit is for [`Packed::timers`].
    pub(crate) fn new() -> Self {
        let mut bytes = Vec::with_capacity(256);
        bytes.push(0);
        Self(Text::Ascii(bytes))
    }

    /// Says whether timers are armed.
    pub(crate) fn timers(&mut self, timers: Timers) {
        match &mut self.0 {
            Text::Ascii(bytes) => bytes[0] = timers as u8,
            Text::Wide(units) => units[0] = timers as u16,
        }
    }

    /// Little-endian, seven bits a unit; the eighth says that more follow.
    fn number(&mut self, number: impl Into<u64>) {
        let mut left: u64 = number.into();
        loop {
            let unit = (left & 0x7F) as u8 | if left > 0x7F { 0x80 } else { 0 };
            match &mut self.0 {
                Text::Ascii(bytes) => bytes.push(unit),
                Text::Wide(units) => units.push(unit.into()),
            }
            left >>= 7;
            if left == 0 {
                return;
            }
        }
    }

    /// Its length in units, then the units.
    fn text(&mut self, text: &str) {
        if text.is_ascii() {
            self.number(text.len() as u64);
            match &mut self.0 {
                Text::Ascii(bytes) => bytes.extend_from_slice(text.as_bytes()),
                Text::Wide(units) => units.extend(text.bytes().map(u16::from)),
            }
            return;
        }
        self.number(text.encode_utf16().count() as u64);
        if let Text::Ascii(bytes) = &self.0 {
            self.0 = Text::Wide(bytes.iter().copied().map(u16::from).collect());
        }
        if let Text::Wide(units) = &mut self.0 {
            units.extend(text.encode_utf16());
        }
    }

    fn head(&mut self, head: Head) {
        self.number(head as u32);
    }

    /// Appends an action.
    pub(crate) fn action(&mut self, action: &Action) {
        match action {
            Action::Emit { op, channel, text } => {
                self.head(Head::Emit);
                self.number(*op);
                self.number(Kind::from(*channel) as u32);
                self.text(text);
            }
            Action::Run { op, ticket, sandbox, command, stream: _, channels, options, .. } => {
                let Program::Shell(line) = &command.program else { return self.json(action) };
                self.head(Head::Run);
                self.number(*op);
                self.number(*ticket);
                self.number(*sandbox);
                self.number(command.timeout_ms.unwrap_or(0));
                self.number(u32::from(command.background));
                self.number(*options as u32);
                self.number(channels.len() as u64);
                for &channel in channels {
                    self.number(Kind::from(channel) as u32);
                }
                self.text(line);
                self.text(&command.exports());
            }
            Action::Answer { op, sandbox_id } => {
                self.head(Head::Answer);
                self.number(*op);
                self.number(u32::from(sandbox_id.is_some()));
                self.text(sandbox_id.as_deref().unwrap_or_default());
            }
            Action::Flush { op } => {
                self.head(Head::Flush);
                self.number(*op);
            }
            other => self.json(other),
        }
    }

    fn json(&mut self, action: &Action) {
        self.head(Head::Json);
        // Every action serialises: they are strings, numbers and lists.
        self.text(&serde_json::to_string(action).unwrap_or_default());
    }
}

impl ToNapiValue for Packed {
    unsafe fn to_napi_value(env: sys::napi_env, packed: Self) -> Result<sys::napi_value> {
        // SAFETY: `env` is the live environment this conversion was called for.
        unsafe {
            match packed.0 {
                Text::Ascii(bytes) => text::latin1(env, &bytes),
                Text::Wide(units) => text::utf16(env, &units),
            }
        }
    }
}
