//! Who may be reached.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::IpAddr;

use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::addr::{self, Range, Special};
use crate::host::Name;
use crate::rule::{Rule, Subject};
use crate::{DNS_PORT, PROXY_PORT, Reason, SOCKS_PORT};

/// The option as the user writes it: `"allow"`, `"deny"` or `{ "allow": ["host", …] }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Network {
    /// The public internet, and nothing private.
    Allow,
    /// Nothing at all.
    Deny,
    /// These destinations only. An empty list is the same as [`Network::Deny`].
    List(Vec<String>),
}

const EXPECTED: &str = "\"allow\", \"deny\" or { allow: [\"host\", …] }";

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Allow => serializer.serialize_str("allow"),
            Self::Deny => serializer.serialize_str("deny"),
            Self::List(rules) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("allow", rules)?;
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Expected;

        impl<'de> Visitor<'de> for Expected {
            type Value = Network;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(EXPECTED)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Network, E> {
                match text {
                    "allow" => Ok(Network::Allow),
                    "deny" => Ok(Network::Deny),
                    other => Err(E::invalid_value(de::Unexpected::Str(other), &self)),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Network, A::Error> {
                let mut rules = None;
                while let Some(key) = map.next_key::<String>()? {
                    if key != "allow" {
                        return Err(de::Error::unknown_field(&key, &["allow"]));
                    }
                    if rules.replace(map.next_value::<Vec<String>>()?).is_some() {
                        return Err(de::Error::duplicate_field("allow"));
                    }
                }
                rules.map(Network::List).ok_or_else(|| de::Error::missing_field("allow"))
            }
        }

        deserializer.deserialize_any(Expected)
    }
}

/// A rule that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyError {
    /// Where it stands, in the user's spelling: `network.allow[2]`.
    pub field: String,
    /// What is wrong, one sentence that begins with the field.
    pub message: String,
    /// What to write instead.
    pub hint: String,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}. {}", self.message, self.hint)
    }
}

impl std::error::Error for PolicyError {}

impl PolicyError {
    pub(crate) fn new(field: impl Into<String>, problem: impl fmt::Display, hint: impl Into<String>) -> Self {
        let field = field.into();
        Self { message: format!("{field} {problem}"), hint: hint.into(), field }
    }
}

/// The immutable decision table of one session.
#[derive(Clone, Debug)]
pub struct Policy {
    scope: Scope,
    #[cfg(test)]
    pretend_public: Option<Range>,
}

#[derive(Clone, Debug)]
enum Scope {
    Nothing,
    Public,
    Listed(Box<Listed>),
}

#[derive(Clone, Debug, Default)]
struct Listed {
    names: HashMap<Name, Ports>,
    below: HashMap<Name, Ports>,
    ranges: Vec<(Range, Option<u16>)>,
}

/// Ports of one subject; rules for the same subject add up.
#[derive(Clone, Debug, Default)]
struct Ports {
    any: bool,
    some: Vec<u16>,
}

impl Ports {
    fn add(&mut self, port: Option<u16>) {
        match port {
            None => self.any = true,
            Some(port) => self.some.push(port),
        }
    }

    fn covers(&self, port: u16) -> bool {
        self.any || self.some.contains(&port)
    }
}

/// More rules than that are no list any more, and every one of them costs on every decision.
const MAX_RULES: usize = 4096;
/// Every captured port is a listening socket in the sandbox and one here.
const MAX_CAPTURED: usize = 128;

/// SSH, HTTP, HTTPS.
const ALWAYS_CAPTURED: [u16; 3] = [22, 80, 443];
/// What is captured beside them when the whole public internet is open: mail submission and retrieval (465, 587,
/// 993), Git (9418), OpenPGP key servers (11371). A captured port cannot be served from inside the sandbox, so ports
/// of databases and development servers (3000, 5432, 6379, 8080 …) are left alone; such a service outside is reached
/// by naming its port in a rule, or through the proxies, which take every port.
const PUBLIC_CAPTURED: [u16; 5] = [465, 587, 993, 9418, 11371];

/// Domains that exist in private networks only (RFC 6761, 6762, 7686, 8375, and what ICANN keeps out of the root
/// because networks use it). The public internet does not have them, so `"allow"` does not either; this matters most
/// where a proxy resolves names that this host cannot look at.
const PRIVATE_DOMAINS: [&str; 11] = [
    "localhost",
    "local",
    "internal",
    "intranet",
    "private",
    "lan",
    "home",
    "corp",
    "home.arpa",
    "onion",
    "invalid",
];

impl Policy {
    /// Understands the option, or says which rule is wrong and what to write instead.
    ///
    /// # Errors
    ///
    /// When a rule is not a host name, a wildcard, an address or a range, each with an optional port.
    pub fn from_options(network: Network) -> Result<Self, PolicyError> {
        let scope = match network {
            Network::Allow => Scope::Public,
            Network::Deny => Scope::Nothing,
            Network::List(rules) if rules.is_empty() => Scope::Nothing,
            Network::List(rules) => Scope::Listed(Box::new(Listed::new(&rules)?)),
        };
        Ok(Self {
            scope,
            #[cfg(test)]
            pretend_public: None,
        })
    }

    /// For tests of this crate, whose internet is a part of the loopback range.
    #[cfg(test)]
    pub(crate) fn pretending_public(mut self, range: Range) -> Self {
        self.pretend_public = Some(range);
        self
    }

    /// True when nothing can be reached; then the sandbox needs neither routes nor a gateway.
    #[must_use]
    pub fn is_deny(&self) -> bool {
        matches!(self.scope, Scope::Nothing)
    }

    /// TCP ports the sandbox must listen on, sorted, none twice, without the ports of the DNS and proxy sockets.
    /// Empty when [`Policy::is_deny`].
    #[must_use]
    pub fn capture_ports(&self) -> Vec<u16> {
        let mut ports = match &self.scope {
            Scope::Nothing => return Vec::new(),
            Scope::Public => PUBLIC_CAPTURED.to_vec(),
            Scope::Listed(listed) => listed.ports().collect(),
        };
        ports.extend(ALWAYS_CAPTURED);
        ports.retain(|port| ![DNS_PORT, PROXY_PORT, SOCKS_PORT].contains(port));
        ports.sort_unstable();
        ports.dedup();
        ports
    }

    /// Whether what a connection says of itself (TLS hello, HTTP head) must be held against the name it is for. With
    /// the whole public internet open there is nothing to gain by naming another host.
    pub(crate) fn verifies(&self) -> bool {
        !matches!(self.scope, Scope::Public)
    }

    /// Whether the name may be looked up: some port of it may be reached.
    pub(crate) fn check_lookup(&self, name: &Name) -> Result<(), Reason> {
        self.check_name_with(name, |_| true)
    }

    /// Whether a name may be reached. What it resolves to has to pass [`Policy::check_resolved`].
    pub(crate) fn check_name(&self, name: &Name, port: u16) -> Result<(), Reason> {
        self.check_name_with(name, |ports| ports.covers(port))
    }

    fn check_name_with(&self, name: &Name, covers: impl Fn(&Ports) -> bool) -> Result<(), Reason> {
        match &self.scope {
            Scope::Nothing => Err(Reason::NotListed),
            Scope::Public if is_private_name(name) => Err(Reason::PrivateName),
            Scope::Public => Ok(()),
            Scope::Listed(listed) => {
                let exact = listed.names.get(name).is_some_and(&covers);
                let below = || {
                    let mut above = name.suffixes().skip(1);
                    above.any(|suffix| listed.below.get(suffix).is_some_and(&covers))
                };
                if exact || below() { Ok(()) } else { Err(Reason::NotListed) }
            }
        }
    }

    /// Whether an address may be reached that was asked for as such.
    pub(crate) fn check_address(&self, ip: IpAddr, port: u16) -> Result<(), Reason> {
        match &self.scope {
            Scope::Nothing => Err(Reason::NotListed),
            Scope::Public => self.check_public(ip),
            Scope::Listed(listed) => listed.check(ip, port),
        }
    }

    /// Whether an address may be reached that a permitted name resolved to: the public internet, and whatever is
    /// listed as an address.
    pub(crate) fn check_resolved(&self, ip: IpAddr, port: u16) -> Result<(), Reason> {
        let public = self.check_public(ip);
        match &self.scope {
            Scope::Nothing => Err(Reason::NotListed),
            Scope::Public => public,
            Scope::Listed(listed) => public.or_else(|reason| listed.check(ip, port).map_err(|_| reason)),
        }
    }

    fn check_public(&self, ip: IpAddr) -> Result<(), Reason> {
        #[cfg(test)]
        if self.pretend_public.is_some_and(|range| range.contains(ip)) {
            return Ok(());
        }
        if addr::special(ip).is_some() {
            return Err(Reason::SpecialAddress);
        }
        if leads_here(ip)? { Err(Reason::OwnAddress) } else { Ok(()) }
    }
}

impl Listed {
    fn new(rules: &[String]) -> Result<Self, PolicyError> {
        if rules.len() > MAX_RULES {
            return Err(PolicyError::new(
                "network.allow",
                format!("has {} entries; {MAX_RULES} is the most", rules.len()),
                "Use wildcards (\"*.example.com\") and ranges (\"192.0.2.0/24\") to say it shorter",
            ));
        }
        let mut listed = Self::default();
        for (index, text) in rules.iter().enumerate() {
            let rule = Rule::parse(text).map_err(|error| {
                let field = format!("network.allow[{index}]");
                PolicyError::new(field, format!("{} {}", quoted(text), error.problem), error.hint)
            })?;
            match rule.subject {
                Subject::Name(name) => listed.names.entry(name).or_default().add(rule.port),
                Subject::Below(name) => listed.below.entry(name).or_default().add(rule.port),
                Subject::Range(range) => listed.ranges.push((range, rule.port)),
            }
        }
        let captured = listed.ports().collect::<HashSet<_>>().len();
        if captured > MAX_CAPTURED {
            return Err(PolicyError::new(
                "network.allow",
                format!("names {captured} different ports; {MAX_CAPTURED} is the most"),
                "Leave the port away where every port of the host may be reached",
            ));
        }
        Ok(listed)
    }

    /// Every port named in a rule, some more than once.
    fn ports(&self) -> impl Iterator<Item = u16> {
        let of_names =
            self.names.values().chain(self.below.values()).flat_map(|ports| ports.some.iter().copied());
        of_names.chain(self.ranges.iter().filter_map(|(_, port)| *port))
    }

    fn check(&self, ip: IpAddr, port: u16) -> Result<(), Reason> {
        let kind = addr::special(ip);
        if matches!(kind, Some(Special::Unspecified | Special::Multicast)) {
            return Err(Reason::SpecialAddress);
        }
        let mut refusal = Reason::NotListed;
        for (range, _) in self
            .ranges
            .iter()
            .filter(|(range, only)| range.contains(ip) && only.is_none_or(|only| only == port))
        {
            // Exactly this address: the user knows what it is. A range gives public addresses, and those of the
            // private space it lies in, but nothing of this host by the way.
            if range.is_single() {
                return Ok(());
            }
            refusal = match kind {
                Some(kind) if !range.means(kind) => Reason::SpecialAddress,
                Some(Special::Loopback) => return Ok(()),
                _ if leads_here(ip)? => Reason::OwnAddress,
                _ => return Ok(()),
            };
        }
        Err(refusal)
    }
}

/// Whether the address, or the one it carries, is one of this host.
fn leads_here(ip: IpAddr) -> Result<bool, Reason> {
    if addr::is_own(ip).map_err(|_| Reason::Unreachable)? {
        return Ok(true);
    }
    // No route to the carried address says nothing: where NAT64 is used there is none.
    Ok(addr::carried(ip).is_some_and(|carried| addr::is_own(carried.into()).unwrap_or(false)))
}

fn is_private_name(name: &Name) -> bool {
    let single_label = !name.as_str().contains('.');
    single_label || name.suffixes().any(|suffix| PRIVATE_DOMAINS.contains(&suffix))
}

/// For messages: escaped, and not longer than what helps.
fn quoted(text: &str) -> String {
    let cut = text.char_indices().nth(80).map_or(text, |(end, _)| &text[..end]);
    format!("{cut:?}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn list(rules: &[&str]) -> Policy {
        Policy::from_options(Network::List(rules.iter().map(|&rule| rule.to_owned()).collect())).unwrap()
    }

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_option_has_three_forms() {
        let parse = |json: &str| serde_json::from_str::<Network>(json);
        assert_eq!(parse("\"allow\"").unwrap(), Network::Allow);
        assert_eq!(parse("\"deny\"").unwrap(), Network::Deny);
        assert_eq!(parse(r#"{"allow":["a.com"]}"#).unwrap(), Network::List(vec!["a.com".into()]));
        for bad in ["\"Allow\"", "\"host\"", "null", "true", "[]", "{}", r#"{"allow":[1]}"#, r#"{"deny":[]}"#]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(parse("\"none\"").unwrap_err().to_string().contains("{ allow: [\"host\", …] }"));
        for network in [Network::Allow, Network::Deny, Network::List(vec!["a.com".into()])] {
            assert_eq!(parse(&serde_json::to_string(&network).unwrap()).unwrap(), network);
        }
    }

    #[test]
    fn an_empty_list_denies_everything() {
        for policy in [list(&[]), Policy::from_options(Network::Deny).unwrap()] {
            assert!(policy.is_deny());
            assert!(policy.capture_ports().is_empty());
            assert_eq!(policy.check_lookup(&name("a.com")), Err(Reason::NotListed));
            assert_eq!(policy.check_name(&name("a.com"), 443), Err(Reason::NotListed));
            assert_eq!(policy.check_address(ip("8.8.8.8"), 443), Err(Reason::NotListed));
            assert_eq!(policy.check_resolved(ip("8.8.8.8"), 443), Err(Reason::NotListed));
        }
    }

    #[test]
    fn names_match_whole_or_by_whole_labels() {
        let policy = list(&["allowed.com", "*.wild.com", "ssh.com:22", "*.port.com:8443", "ssh.com:2222"]);
        let check = |text: &str, port| policy.check_name(&name(text), port).is_ok();
        assert!(check("ALLOWED.com.", 443) && check("allowed.com", 9999));
        assert!(!check("allowed.com.evil.test", 443));
        assert!(!check("evilallowed.com", 443));
        assert!(!check("sub.allowed.com", 443));
        assert!(check("a.wild.com", 443) && check("a.b.wild.com", 22));
        assert!(
            !check("wild.com", 443) && !check("evilwild.com", 443) && !check("a.wild.com.evil.test", 443)
        );
        assert!(check("ssh.com", 22) && check("ssh.com", 2222) && !check("ssh.com", 443));
        assert!(check("a.port.com", 8443) && !check("a.port.com", 443));
        assert!(policy.check_lookup(&name("ssh.com")).is_ok());
        assert_eq!(policy.check_lookup(&name("com")), Err(Reason::NotListed));
        assert!(policy.verifies());
    }

    #[test]
    fn addresses_match_only_as_addresses() {
        let policy =
            list(&["127.0.0.1:8471", "10.0.0.0/8", "0.0.0.0/0:9000", "a.com", "[::1]:7000", "127.1.0.0/16"]);
        let check = |text: &str, port| policy.check_address(ip(text), port);
        assert_eq!(check("127.0.0.1", 8471), Ok(()));
        assert_eq!(check("::ffff:127.0.0.1", 8471), Ok(()));
        assert_eq!(check("127.0.0.1", 80), Err(Reason::NotListed));
        assert_eq!(check("127.0.0.2", 8471), Err(Reason::NotListed));
        assert_eq!(check("::1", 7000), Ok(()));
        assert_eq!(check("127.1.2.3", 1), Ok(()));
        // A range of everything does not give what is not public.
        assert_eq!(check("127.0.0.1", 9000), Err(Reason::SpecialAddress));
        assert_eq!(check("169.254.169.254", 9000), Err(Reason::SpecialAddress));
        assert_eq!(check("192.168.0.1", 9000), Err(Reason::SpecialAddress));
        assert_eq!(check("0.0.0.0", 9000), Err(Reason::SpecialAddress));
        assert_eq!(check("8.8.8.8", 443), Err(Reason::NotListed));
    }

    #[test]
    fn names_lead_to_the_public_or_to_listed_addresses() {
        let policy = list(&["a.com", "127.0.0.1:8471"]);
        assert_eq!(policy.check_resolved(ip("127.0.0.1"), 8471), Ok(()));
        assert_eq!(policy.check_resolved(ip("127.0.0.1"), 443), Err(Reason::SpecialAddress));
        for text in ["10.0.0.1", "169.254.169.254", "fd00:ec2::254", "::ffff:10.1.1.1", "64:ff9b::10.0.0.1"] {
            assert_eq!(policy.check_resolved(ip(text), 443), Err(Reason::SpecialAddress), "{text}");
        }
    }

    #[test]
    fn allow_is_the_public_internet_only() {
        let policy = Policy::from_options(Network::Allow).unwrap();
        assert!(!policy.is_deny() && !policy.verifies());
        assert_eq!(policy.check_name(&name("anything.example.com"), 12345), Ok(()));
        for private in
            ["localhost", "db", "metadata.google.internal", "printer.local", "x.home.arpa", "a.corp"]
        {
            assert_eq!(policy.check_name(&name(private), 443), Err(Reason::PrivateName), "{private}");
        }
        for text in
            ["127.0.0.1", "::1", "10.0.0.1", "169.254.169.254", "100.64.0.1", "2002:7f00:1::", "0.0.0.0"]
        {
            assert_eq!(policy.check_address(ip(text), 443), Err(Reason::SpecialAddress), "{text}");
            assert_eq!(policy.check_resolved(ip(text), 443), Err(Reason::SpecialAddress), "{text}");
        }
    }

    #[test]
    fn captured_ports() {
        assert_eq!(list(&["a.com"]).capture_ports(), [22, 80, 443]);
        assert_eq!(
            list(&["a.com:8443", "*.b.com:9418", "127.0.0.1:8471", "c.com:443", "d.com:3128", "e.com:53"])
                .capture_ports(),
            [22, 80, 443, 8443, 8471, 9418]
        );
        let public = Policy::from_options(Network::Allow).unwrap().capture_ports();
        assert!(public.is_sorted() && public.starts_with(&[22, 80, 443]) && public.contains(&9418));
        assert!(!public.contains(&5432) && !public.contains(&3000));
    }

    #[test]
    fn errors_name_rule_and_remedy() {
        let rules = ["ok.com", "*.ok.com", "https://bad.com/x"].map(str::to_owned).to_vec();
        let error = Policy::from_options(Network::List(rules)).unwrap_err();
        assert_eq!(error.field, "network.allow[2]");
        assert_eq!(error.message, "network.allow[2] \"https://bad.com/x\" is a URL");
        assert_eq!(
            error.to_string(),
            "network.allow[2] \"https://bad.com/x\" is a URL. Write only host and port: \"bad.com:443\""
        );
        let many = vec!["a.com".to_owned(); MAX_RULES + 1];
        assert!(Policy::from_options(Network::List(many)).unwrap_err().message.contains("4097 entries"));
        let ports = (1..200).map(|port| format!("a.com:{port}")).collect();
        assert!(
            Policy::from_options(Network::List(ports)).unwrap_err().message.contains("199 different ports")
        );
        let long = Policy::from_options(Network::List(vec!["é".repeat(9999)])).unwrap_err();
        assert!(long.message.len() < 400, "{}", long.message.len());
    }
}
