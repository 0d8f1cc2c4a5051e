//! One line of an allow list.

use std::net::IpAddr;

use crate::addr::Range;
use crate::host::{Host, HostError, Name, split_port};
use crate::names;

/// Whom a rule means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// This name.
    Name(Name),
    /// Every name below this one, itself not included.
    Below(Name),
    /// These addresses.
    Range(Range),
}

/// A rule: whom, and on which port (`None`: any).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) subject: Subject,
    pub(crate) port: Option<u16>,
}

/// What is wrong with a rule, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RuleError {
    pub(crate) problem: String,
    pub(crate) hint: String,
}

const FORMS: &str = "Write a host (\"api.example.com\"), a wildcard (\"*.example.com\"), an address (\"192.0.2.7\") \
                     or a range (\"192.0.2.0/24\"), each with \":port\" if only that port is meant";

impl Rule {
    pub(crate) fn parse(text: &str) -> Result<Self, RuleError> {
        if text == "*" {
            return Err(error("allows every host", "Write network: \"allow\" for the public internet"));
        }
        if text.chars().any(char::is_whitespace) {
            return Err(error("holds white space", "Write one destination per entry, without spaces"));
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            let host = rest.split(['/', '?', '#']).next().unwrap_or(rest);
            let port = match scheme {
                "https" | "wss" if !host.contains(':') => ":443",
                "http" | "ws" if !host.contains(':') => ":80",
                _ => "",
            };
            return Err(error("is a URL", format!("Write only host and port: \"{host}{port}\"")));
        }
        if text.contains('/') {
            return range(text);
        }
        let (host, port) = split_port(text).map_err(of_host)?;
        let subject = match host.strip_prefix("*.") {
            Some(base) => match Host::parse(base).map_err(of_host)? {
                Host::Name(name) => Subject::Below(name),
                Host::Ip(_) => {
                    return Err(error("is a wildcard of an address", "Write a range: \"192.0.2.0/24\""));
                }
            },
            None if host.contains('*') => {
                return Err(error(
                    "has a * that is not the whole first label",
                    "A wildcard stands for whole labels in front: \"*.example.com\"",
                ));
            }
            None => match Host::parse(host).map_err(of_host)? {
                Host::Name(name) => Subject::Name(name),
                Host::Ip(ip) => Subject::Range(Range::single(ip)),
            },
        };
        if let Subject::Name(name) | Subject::Below(name) = &subject
            && name.suffixes().last() == Some("localhost")
        {
            let port = port.map_or(String::new(), |port| format!(":{port}"));
            return Err(error(
                "names this host, which names never lead to",
                format!("Write the address: \"127.0.0.1{port}\""),
            ));
        }
        Self { subject, port }.checked()
    }

    fn checked(self) -> Result<Self, RuleError> {
        if let Subject::Range(range) = &self.subject
            && range.is_single()
            && (range.base().is_unspecified() || range.base().is_multicast())
        {
            return Err(error(
                "is no address one can connect to",
                "Write the address of the destination, \"127.0.0.1\" for a service of this host",
            ));
        }
        let stand_ins = Range::new(names::BASE.into(), names::BITS);
        if let (Subject::Range(range), Ok(stand_ins)) = (&self.subject, stand_ins)
            && range.within(&stand_ins)
        {
            return Err(error(
                "lies in 198.18.0.0/15, where addresses stand for names inside the sandbox",
                "Give the destination another address",
            ));
        }
        Ok(self)
    }
}

/// `base/bits`, `base/bits:port` for IPv4, `[base/bits]:port` or `[base]/bits` for IPv6.
fn range(text: &str) -> Result<Rule, RuleError> {
    let (text, port) = if text.starts_with('[') || text.matches(':').count() == 1 {
        split_port(text).map_err(of_host)?
    } else {
        (text, None)
    };
    let text = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let parsed = text.split_once('/').and_then(|(base, bits)| {
        let bits = bits.parse::<u8>().ok().filter(|number| number.to_string() == bits)?;
        Some((base.parse::<IpAddr>().ok()?, bits))
    });
    let Some((base, bits)) = parsed else {
        return Err(error("is neither a host nor a range of addresses", FORMS));
    };
    match Range::new(base, bits) {
        Ok(range) => Rule { subject: Subject::Range(range), port }.checked(),
        Err(Some(start)) => Err(error(
            format!("has bits set after the first {bits}"),
            format!("Write \"{start}/{bits}\", or \"{base}\" for the one address"),
        )),
        Err(None) => {
            Err(error("has a prefix length that is out of range", "IPv4 has 0 to 32, IPv6 0 to 128"))
        }
    }
}

fn error(problem: impl Into<String>, hint: impl Into<String>) -> RuleError {
    RuleError { problem: problem.into(), hint: hint.into() }
}

fn of_host(cause: HostError) -> RuleError {
    let hint = match cause {
        HostError::Numeric => "Write the address as four decimal numbers: \"127.0.0.1\"",
        HostError::Userinfo => "Write the host alone, without user and password",
        HostError::Port => "Write a port from 1 to 65535, or none for every port",
        HostError::Brackets | HostError::Zone => {
            "Write IPv6 as \"[2001:db8::1]\", with \":port\" after the bracket"
        }
        _ => FORMS,
    };
    error(cause.to_string(), hint)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn range(base: &str, bits: u8) -> Subject {
        Subject::Range(Range::new(base.parse().unwrap(), bits).unwrap())
    }

    #[test]
    fn every_form_is_understood() {
        for (text, subject, port) in [
            ("Example.COM.", Subject::Name(name("example.com")), None),
            ("example.com:8443", Subject::Name(name("example.com")), Some(8443)),
            ("*.example.com", Subject::Below(name("example.com")), None),
            ("*.Example.com:22", Subject::Below(name("example.com")), Some(22)),
            ("bücher.example", Subject::Name(name("xn--bcher-kva.example")), None),
            ("127.0.0.1:8471", range("127.0.0.1", 32), Some(8471)),
            ("10.0.0.0/8", range("10.0.0.0", 8), None),
            ("10.0.0.0/8:5432", range("10.0.0.0", 8), Some(5432)),
            ("::1", range("::1", 128), None),
            ("[::1]", range("::1", 128), None),
            ("[::1]:8080", range("::1", 128), Some(8080)),
            ("2606:4700::/32", range("2606:4700::", 32), None),
            ("[2606:4700::/32]:443", range("2606:4700::", 32), Some(443)),
            ("[::ffff:127.0.0.1]:80", range("127.0.0.1", 32), Some(80)),
        ] {
            assert_eq!(Rule::parse(text), Ok(Rule { subject, port }), "{text}");
        }
    }

    #[test]
    fn wrong_rules_say_what_to_write() {
        for (text, problem, hint) in [
            ("", "is empty", "Write a host"),
            ("*", "every host", "\"allow\""),
            ("https://example.com/a?b", "URL", "\"example.com:443\""),
            ("http://example.com:8080/", "URL", "\"example.com:8080\""),
            ("a.com, b.com", "white space", "one destination"),
            ("a*.com", "*", "*.example.com"),
            ("*.*.com", "character", "Write a host"),
            ("*.10.0.0.1", "wildcard of an address", "range"),
            ("localhost:3000", "names this host", "\"127.0.0.1:3000\""),
            ("*.localhost", "names this host", "\"127.0.0.1\""),
            ("0x7f.1", "ends in a number", "four decimal"),
            ("2130706433", "ends in a number", "four decimal"),
            ("0177.0.0.1", "ends in a number", "four decimal"),
            ("user@example.com", "user information", "host alone"),
            ("a\0.com", "NUL", "Write a host"),
            ("example.com:0", "port", "1 to 65535"),
            ("example.com:https", "port", "1 to 65535"),
            ("10.0.0.1/8", "bits set after the first 8", "\"10.0.0.0/8\""),
            ("10.0.0.0/33", "out of range", "0 to 32"),
            ("10.0.0.0/+8", "neither", "Write a host"),
            ("10.0.0.0/08", "neither", "Write a host"),
            ("example.com/path", "neither", "Write a host"),
            ("fe80::1%eth0", "zone", "[2001:db8::1]"),
            ("[::1", "brackets", "[2001:db8::1]"),
            ("0.0.0.0", "no address", "127.0.0.1"),
            ("[::]:80", "no address", "127.0.0.1"),
            ("198.19.0.0/16:80", "stand for names", "another address"),
            ("198.18.0.1", "stand for names", "another address"),
            ("224.0.0.1", "no address", "address of the destination"),
        ] {
            let error = Rule::parse(text).expect_err(text);
            assert!(error.problem.contains(problem), "{text:?}: {error:?}");
            assert!(error.hint.contains(hint), "{text:?}: {error:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in any::<String>()) {
            let _ = Rule::parse(&text);
        }

        #[test]
        fn nothing_that_looks_like_a_rule_panics(text in "[*]?[.]?[\\[]?[0-9a-f:.xé]{0,20}[/]?[0-9]{0,3}[\\]]?:?[0-9]{0,6}") {
            let _ = Rule::parse(&text);
        }
    }
}
