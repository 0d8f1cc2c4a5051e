//! What an operation delivers to JavaScript, in flat arrays.

use std::collections::VecDeque;
use std::ptr;

use napi::bindgen_prelude::ToNapiValue;
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

impl Kind {
    /// Whether many small messages of this kind may cross as one text. Of the others there is one or few.
    fn is_stream(self) -> bool {
        matches!(self, Self::Stdout | Self::Stderr | Self::Update | Self::Error | Self::Event)
    }
}

/// Bytes up to which messages are put together. Making a string costs as much as some hundred bytes of it, and cutting one
/// out of another costs a fifth of that; but whoever keeps one message keeps the whole text it was cut from.
const TOGETHER: usize = 16 << 10;

/// One message, or several of a kind that came one after the other.
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    /// Goes there as well, message by message.
    also: Option<Kind>,
    pub(crate) text: Text,
    /// Where the messages end, in units of the text; empty if there is one.
    ends: Vec<u32>,
    /// What it was counted with against the window.
    pub(crate) cost: usize,
}

impl Frame {
    pub(crate) fn new(kind: Kind, text: Text, cost: usize) -> Self {
        Self { kind, also: None, text, ends: Vec::new(), cost }
    }

    /// Whether `next` is the message of this frame once more, for another channel.
    fn is_repeated_by(&self, next: &Self) -> bool {
        let one = self.also.is_none() && self.ends.is_empty();
        let kinds = self.kind.is_stream() && next.kind.is_stream() && self.kind as u32 != next.kind as u32;
        one && kinds && self.text == next.text
    }

    /// Takes a frame of one message in; gives it back if it does not fit.
    fn absorb(&mut self, next: Self) -> Result<(), Self> {
        let same = self.kind as u32 == next.kind as u32
            && self.also.map(|kind| kind as u32) == next.also.map(|kind| kind as u32);
        if !same || !self.kind.is_stream() || self.text.size() + next.text.size() > TOGETHER {
            return Err(next);
        }
        let end = self.text.units();
        let Self { kind, also, text, ends, cost } = next;
        match self.text.append(text) {
            Ok(()) => {
                if self.ends.is_empty() {
                    self.ends.push(end as u32);
                }
                self.ends.push(self.text.units() as u32);
                self.cost += cost;
                Ok(())
            }
            Err(text) => Err(Self { kind, also, text, ends, cost }),
        }
    }
}

/// Puts a frame behind the others. What is delivered, and in which order, does not depend on how it is put together.
pub(crate) fn enqueue(queue: &mut VecDeque<Frame>, mut frame: Frame) {
    if let Some(mut last) = queue.pop_back() {
        if last.is_repeated_by(&frame) {
            last.also = Some(frame.kind);
            last.cost += frame.cost;
            frame = last;
        } else {
            queue.push_back(last);
        }
        if let Some(last) = queue.back_mut() {
            match last.absorb(frame) {
                Ok(()) => return,
                Err(back) => frame = back,
            }
        }
    }
    queue.push_back(frame);
}

/// A batch, as `[kinds, text, ends, kinds, text, ends, …]`, and behind it the number of the channel if there may be more.
pub(crate) struct Frames(pub(crate) Vec<Frame>, pub(crate) Option<u32>);

impl ToNapiValue for Frames {
    unsafe fn to_napi_value(env: sys::napi_env, Self(frames, more): Self) -> napi::Result<sys::napi_value> {
        let length = frames.len() * 3 + usize::from(more.is_some());
        let mut array = ptr::null_mut();
        // SAFETY: `env` is the live environment this conversion was called for; `array` outlives the call.
        check_status!(unsafe { sys::napi_create_array_with_length(env, length, &raw mut array) })?;
        let mut at = 0;
        let mut put = |value| {
            at += 1;
            // SAFETY: as above; `array` is a live array of this handle scope, and so is the value.
            check_status!(unsafe { sys::napi_set_element(env, array, at - 1, value) })
        };
        for Frame { kind, also, text, ends, .. } in frames {
            let kinds = kind as u32 | also.map_or(0, |also| (also as u32 + 1) << 8);
            // SAFETY: `env` as above.
            unsafe {
                put(uint32(env, kinds)?)?;
                put(match &text {
                    Text::Ascii(bytes) => text::latin1(env, bytes)?,
                    Text::Wide(units) => text::utf16(env, units)?,
                })?;
                put(if ends.is_empty() { undefined(env)? } else { uint32_array(env, &ends)? })?;
            }
        }
        if let Some(channel) = more {
            // SAFETY: `env` as above.
            put(unsafe { uint32(env, channel) }?)?;
        }
        Ok(array)
    }
}

/// # Safety
/// `env` must be the live environment of the running callback.
unsafe fn uint32(env: sys::napi_env, number: u32) -> napi::Result<sys::napi_value> {
    let mut value = ptr::null_mut();
    // SAFETY: `value` outlives the call.
    check_status!(unsafe { sys::napi_create_uint32(env, number, &raw mut value) })?;
    Ok(value)
}

/// # Safety
/// `env` must be the live environment of the running callback.
unsafe fn undefined(env: sys::napi_env) -> napi::Result<sys::napi_value> {
    let mut value = ptr::null_mut();
    // SAFETY: `value` outlives the call.
    check_status!(unsafe { sys::napi_get_undefined(env, &raw mut value) })?;
    Ok(value)
}

/// # Safety
/// `env` must be the live environment of the running callback.
unsafe fn uint32_array(env: sys::napi_env, numbers: &[u32]) -> napi::Result<sys::napi_value> {
    let (mut data, mut buffer, mut array) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    let bytes = size_of_val(numbers);
    // SAFETY: all outlive the calls. The buffer is as long as what is copied into it, aligned for any number, and nobody else
    // has it yet.
    unsafe {
        check_status!(sys::napi_create_arraybuffer(env, bytes, &raw mut data, &raw mut buffer))?;
        ptr::copy_nonoverlapping(numbers.as_ptr().cast::<u8>(), data.cast::<u8>(), bytes);
        let kind = sys::TypedarrayType::uint32_array;
        check_status!(sys::napi_create_typedarray(env, kind, numbers.len(), buffer, 0, &raw mut array))?;
    }
    Ok(array)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a queue delivers, in order.
    fn delivered(queue: &VecDeque<Frame>) -> Vec<(u32, String)> {
        let mut all = Vec::new();
        for Frame { kind, also, text, ends, .. } in queue {
            let text = match text {
                Text::Ascii(bytes) => bytes.iter().map(|&byte| u16::from(byte)).collect(),
                Text::Wide(units) => units.clone(),
            };
            let mut from = 0;
            for end in
                if ends.is_empty() { vec![text.len()] } else { ends.iter().map(|&e| e as usize).collect() }
            {
                let message = String::from_utf16_lossy(&text[from..end]);
                from = end;
                all.push((*kind as u32, message.clone()));
                all.extend(also.map(|also| (also as u32, message)));
            }
        }
        all
    }

    #[test]
    fn what_is_put_together_is_delivered_as_it_came() {
        let kinds = [Kind::Stdout, Kind::Update, Kind::Event, Kind::Session, Kind::Stderr, Kind::Done];
        let large = "x".repeat(TOGETHER);
        let texts = ["", "a", "a", "bc", "✓", "{\"n\":1}", &large];
        let mut state = 7_u32;
        let mut random = |below: usize| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as usize % below
        };
        for _ in 0..200 {
            let (mut queue, mut wanted, mut cost) = (VecDeque::new(), Vec::new(), 0);
            for _ in 0..random(60) {
                let text = texts[random(texts.len())];
                // Often the same message for two channels, as objects made from a configuration have it.
                let pair: &[Kind] = if random(2) == 0 { &kinds[..2] } else { &kinds[random(6)..][..1] };
                for &kind in pair {
                    wanted.push((kind as u32, text.to_owned()));
                    cost += text.len();
                    enqueue(&mut queue, Frame::new(kind, text.to_owned().into(), text.len()));
                }
            }
            assert_eq!(delivered(&queue), wanted);
            assert_eq!(queue.iter().map(|frame| frame.cost).sum::<usize>(), cost);
        }
    }

    #[test]
    fn small_messages_cross_together() {
        let mut queue = VecDeque::new();
        for n in 0..1000 {
            for kind in [Kind::Stdout, Kind::Update] {
                enqueue(&mut queue, Frame::new(kind, format!("message {n}").into(), 1));
            }
        }
        assert_eq!((queue.len(), queue[0].ends.len()), (1, 1000));
    }
}
