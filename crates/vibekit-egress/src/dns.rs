//! The few parts of the DNS message format (RFC 1035) a resolver needs that answers one kind of question by itself.
//!
//! Written by hand: the usual crate brings a dozen others for zones, signatures and random numbers. What is here is
//! held against that crate in the tests.

use std::net::Ipv4Addr;

use crate::host::Name;

/// Record type of IPv4 addresses.
pub const TYPE_A: u16 = 1;
/// The internet class.
const CLASS_IN: u16 = 1;
const HEADER: usize = 12;
/// Seconds an answer may be kept. Short, as an address is handed to another name when many are looked up.
const TTL: u32 = 60;

/// Result of a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// It worked, perhaps with nothing to tell.
    NoError = 0,
    /// The question cannot be read.
    FormatError = 1,
    /// There is no such name.
    NoSuchName = 3,
    /// Another operation than a question.
    NotImplemented = 4,
    /// Not answered here.
    Refused = 5,
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query<'a> {
    id: [u8; 2],
    recursion_desired: bool,
    /// The question as it was asked, for the answer.
    question: &'a [u8],
    /// What is asked for, in canonical spelling; `Err` holds its labels with dots between when it is no host name.
    pub name: Result<Name, Vec<u8>>,
    /// Record type.
    pub kind: u16,
    /// True for the internet class.
    pub internet: bool,
}

/// Why a message is no question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryError {
    /// Nothing to answer: no header, or an answer itself.
    Ignore,
    /// Answer with these bytes.
    Reply(Vec<u8>),
}

/// Reads a message with exactly one question. Whatever follows the question (EDNS, signatures) is left aside.
///
/// # Errors
///
/// When it is not a question, with what to answer, if anything.
pub fn parse(message: &[u8]) -> Result<Query<'_>, QueryError> {
    let header = message.first_chunk::<HEADER>().ok_or(QueryError::Ignore)?;
    let [id0, id1, flags, _, questions @ ..] = *header;
    if flags & 0x80 != 0 {
        return Err(QueryError::Ignore);
    }
    let reply = |code| QueryError::Reply(assemble([id0, id1], flags & 1 != 0, code, &[], None));
    if flags >> 3 & 0xf != 0 {
        return Err(reply(Code::NotImplemented));
    }
    if questions[..2] != [0, 1] {
        return Err(reply(Code::FormatError));
    }
    let body = &message[HEADER..];
    let (name, length) = read_name(body).ok_or_else(|| reply(Code::FormatError))?;
    let fixed = body.get(length..length + 4).ok_or_else(|| reply(Code::FormatError))?;
    Ok(Query {
        id: [id0, id1],
        recursion_desired: flags & 1 != 0,
        question: &body[..length + 4],
        name,
        kind: u16::from_be_bytes([fixed[0], fixed[1]]),
        internet: u16::from_be_bytes([fixed[2], fixed[3]]) == CLASS_IN,
    })
}

/// The name at the start of `bytes` and its length there. `None` when it is cut, too long, or refers to another one,
/// which a first name cannot.
fn read_name(bytes: &[u8]) -> Option<(Result<Name, Vec<u8>>, usize)> {
    let mut text = Vec::new();
    let mut at = 0;
    let mut clean = true;
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        if length > 63 || at + length > 254 {
            return None;
        }
        let label = bytes.get(at..at + length)?;
        // A dot within a label would become one between labels.
        clean &= label.is_ascii() && !label.contains(&b'.');
        if !text.is_empty() {
            text.push(b'.');
        }
        text.extend_from_slice(label);
        at += length;
    }
    let name = if clean { Name::from_bytes(&text).ok() } else { None };
    Some((name.ok_or(text), at))
}

impl Query<'_> {
    /// The message that answers with a code and at most one address.
    #[must_use]
    pub fn answer(&self, code: Code, address: Option<Ipv4Addr>) -> Vec<u8> {
        assemble(self.id, self.recursion_desired, code, self.question, address)
    }
}

fn assemble(id: [u8; 2], recursion: bool, code: Code, question: &[u8], address: Option<Ipv4Addr>) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER + question.len() + 16);
    out.extend(id);
    // A response, with recursion available, since the answer is final.
    out.extend([0x80 | u8::from(recursion), 0x80 | code as u8]);
    out.extend([0, u8::from(!question.is_empty()), 0, u8::from(address.is_some()), 0, 0, 0, 0]);
    out.extend(question);
    if let Some(address) = address {
        out.extend([0xc0, 12]); // the name of the question
        out.extend(TYPE_A.to_be_bytes());
        out.extend(CLASS_IN.to_be_bytes());
        out.extend(TTL.to_be_bytes());
        out.extend([0, 4]);
        out.extend(address.octets());
    }
    out
}

/// Questions for tests.
#[cfg(test)]
pub(crate) fn question(name: &[u8], kind: u16) -> Vec<u8> {
    let mut out = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split(|&byte| byte == b'.') {
        out.push(u8::try_from(label.len()).unwrap_or(0));
        out.extend(label);
    }
    out.push(0);
    out.extend(kind.to_be_bytes());
    out.extend([0, 1]);
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use hickory_proto::op::{Message, MessageType, OpCode, Query as Question, ResponseCode};
    use hickory_proto::rr::{Name as DnsName, RData, RecordType};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_reference_agrees_on_questions_and_answers() {
        let mut message = Message::new(0x1234, MessageType::Query, OpCode::Query);
        message.add_query(Question::query(DnsName::from_ascii("Api.Example.com.").unwrap(), RecordType::A));
        message.metadata.recursion_desired = true;
        let bytes = message.to_vec().unwrap();
        let query = parse(&bytes).unwrap();
        assert_eq!(query.name.as_ref().unwrap().as_str(), "api.example.com");
        assert_eq!((query.kind, query.internet), (TYPE_A, true));

        let answer = Message::from_vec(&query.answer(Code::NoError, Some([198, 18, 0, 7].into()))).unwrap();
        assert_eq!(answer.metadata.id, 0x1234);
        assert_eq!(answer.metadata.message_type, MessageType::Response);
        assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
        assert!(answer.metadata.recursion_desired && answer.metadata.recursion_available);
        assert_eq!(answer.queries, message.queries);
        let [record] = &answer.answers[..] else { panic!("one record") };
        assert_eq!(record.name, message.queries[0].name);
        assert_eq!(record.data, RData::A(Ipv4Addr::new(198, 18, 0, 7).into()));

        let none = Message::from_vec(&query.answer(Code::NoSuchName, None)).unwrap();
        assert_eq!(none.metadata.response_code, ResponseCode::NXDomain);
        assert!(none.answers.is_empty() && none.queries == message.queries);
    }

    #[test]
    fn names_with_a_second_reading_have_no_name() {
        for labels in
            [&b"\x0cevil\0.al.com\0"[..], b"\x05a.com\0", b"\x01*\x03com\0", b"\x03\xffab\x03com\0", b"\0"]
        {
            let message = [&question(b"", 1)[..12], labels, &[0, 1, 0, 1]].concat();
            assert!(parse(&message).unwrap().name.is_err(), "{labels:?}");
        }
    }

    #[test]
    fn what_is_no_question_gets_no_more_than_it_deserves() {
        let good = question(b"a.com", 1);
        for end in 0..HEADER {
            assert_eq!(parse(&good[..end]), Err(QueryError::Ignore));
        }
        for end in HEADER..good.len() {
            assert!(
                matches!(parse(&good[..end]), Err(QueryError::Reply(reply)) if reply[3] & 15 == 1),
                "{end}"
            );
        }
        let with = |at: usize, value| {
            let mut bytes = good.clone();
            bytes[at] = value;
            bytes
        };
        assert_eq!(parse(&with(2, 0x81)), Err(QueryError::Ignore));
        assert!(matches!(parse(&with(2, 0x28)), Err(QueryError::Reply(reply)) if reply[3] & 15 == 4));
        assert!(matches!(parse(&with(5, 2)), Err(QueryError::Reply(reply)) if reply[3] & 15 == 1));
        assert!(matches!(parse(&with(12, 0xc0)), Err(QueryError::Reply(_))));
        let long = question(&[&[b'a'; 63][..]; 5].join(&b'.'), 1);
        assert!(matches!(parse(&long), Err(QueryError::Reply(_))));
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            if let Ok(query) = parse(&bytes) {
                let _ = query.answer(Code::NoError, Some(Ipv4Addr::LOCALHOST));
            }
        }

        #[test]
        fn the_reference_reads_every_answer(mut bytes in proptest::collection::vec(any::<u8>(), 17..300)) {
            bytes[2..6].copy_from_slice(&[1, 0, 0, 1]);
            if let Ok(query) = parse(&bytes) {
                let answer = query.answer(Code::NoError, Some(Ipv4Addr::LOCALHOST));
                prop_assert!(Message::from_vec(&answer).is_ok());
            }
        }

        #[test]
        fn the_reference_agrees_on_names(text in "([a-zA-Z0-9-]{1,20}[.]){1,5}") {
            if let Ok(name) = DnsName::from_ascii(&text) {
                let mut message = Message::new(1, MessageType::Query, OpCode::Query);
                message.add_query(Question::query(name, RecordType::AAAA));
                let bytes = message.to_vec().unwrap();
                let query = parse(&bytes).unwrap();
                prop_assert_eq!(query.kind, 28);
                prop_assert_eq!(query.name.ok(), Name::parse(&text).ok());
            }
        }
    }
}
