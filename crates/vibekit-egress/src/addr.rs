//! Which addresses are the public internet, and which are not.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use crate::interfaces;

/// Why an address is not public.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Special {
    /// `0.0.0.0/8`, `::`: this host, whatever interface.
    Unspecified,
    /// `127.0.0.0/8`, `::1`.
    Loopback,
    /// RFC 1918, ULA and the retired site-local range.
    Private,
    /// `169.254.0.0/16`, `fe80::/10`.
    LinkLocal,
    /// `100.64.0.0/10`, the inside of a provider's network.
    CarrierNat,
    /// Where clouds serve credentials to whoever asks.
    Metadata,
    /// Multicast and broadcast.
    Multicast,
    /// Everything else that IANA does not route: documentation, benchmarks, reserved space, retired tunnels.
    Reserved,
}

/// Metadata services at addresses that are not link-local (Azure; the others lie in ranges forbidden anyway and are
/// named here so that a rule for such a range does not include them).
const METADATA_V4: [Ipv4Addr; 4] = [
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(192, 0, 0, 192),
];
/// Amazon's over IPv6 (`fd00:ec2::254`), and Google's (`fd20:ce::254`).
const METADATA_V6: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)];

/// What makes an address not public; `None` for the public internet. Addresses that carry an IPv4 address (mapped,
/// compatible, NAT64, 6to4) are as special as the address they carry.
#[must_use]
pub fn special(ip: IpAddr) -> Option<Special> {
    match ip.to_canonical() {
        IpAddr::V4(ip) => special_v4(ip),
        IpAddr::V6(ip) => special_v6(ip),
    }
}

fn special_v4(ip: Ipv4Addr) -> Option<Special> {
    if METADATA_V4.contains(&ip) {
        return Some(Special::Metadata);
    }
    // The IANA IPv4 special-purpose registry, less what is globally reachable.
    Some(match ip.octets() {
        [0, ..] => Special::Unspecified,
        [127, ..] => Special::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Special::Private,
        [169, 254, ..] => Special::LinkLocal,
        [100, 64..=127, ..] => Special::CarrierNat,
        [224..=239, ..] | [255, 255, 255, 255] => Special::Multicast,
        [192, 0, 0 | 2, _] | [192, 88, 99, _] | [198, 18 | 19, ..] | [198, 51, 100, _] | [203, 0, 113, _] => {
            Special::Reserved
        }
        [240..=255, ..] => Special::Reserved,
        _ => return None,
    })
}

fn special_v6(ip: Ipv6Addr) -> Option<Special> {
    if METADATA_V6.contains(&ip) {
        return Some(Special::Metadata);
    }
    if ip.is_unspecified() {
        return Some(Special::Unspecified);
    }
    if ip.is_loopback() {
        return Some(Special::Loopback);
    }
    // Protocol assignments come first: Teredo hides an IPv4 address, ORCHID is no place, the rest is not for hosts.
    match ip.segments() {
        [0x2001, second, ..] if second < 0x200 || second == 0xdb8 => Some(Special::Reserved),
        [0x3fff, 0..=0xfff, ..] => Some(Special::Reserved),
        [0xfe80..=0xfebf, ..] => Some(Special::LinkLocal),
        [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => Some(Special::Private),
        [0xff00..=0xffff, ..] => Some(Special::Multicast),
        segments => match carried(ip.into()) {
            Some(carried) => special_v4(carried),
            None if (0x2000..=0x3fff).contains(&segments[0]) => None,
            // Outside of the global unicast range nothing is assigned; `::a.b.c.d` is among it.
            None => Some(Special::Reserved),
        },
    }
}

/// The IPv4 address a NAT64, 6to4 or ISATAP address leads to.
#[must_use]
pub fn carried(ip: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(ip) = ip else { return None };
    match ip.segments() {
        // NAT64 (RFC 6052): an IPv6-only network reaches the IPv4 internet through it, so it is as public as what it
        // carries. Its local-use prefix (RFC 8215) is not here, as that may lead anywhere.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        // 6to4 (RFC 3056).
        | [0x2002, high, low, ..]
        // ISATAP (RFC 5214), in the interface identifier of any prefix.
        | [0x2000..=0x3fff, _, _, _, 0 | 0x200, 0x5efe, high, low] => {
            Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
        }
        _ => None,
    }
}

/// Whether the address is one of this host, asked anew each time, because addresses come and go. Two questions,
/// as neither answers for all: the interfaces do not tell of local routes (load balancers deliver by them), and the
/// route, which shows the destination itself as source where it ends here, does not for secondary addresses.
///
/// # Errors
///
/// When there is no route, so that connecting would fail as well, or when the system does not answer.
pub fn is_own(ip: IpAddr) -> io::Result<bool> {
    let ip = ip.to_canonical();
    let any = match ip {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind((any, 0))?;
    // Sends nothing, so any port will do; 9 is the one that discards.
    socket.connect(SocketAddr::new(ip, 9))?;
    Ok(socket.local_addr()?.ip() == ip || interfaces::have(ip)?)
}

/// A range of addresses: an address and the number of leading bits that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Range {
    base: IpAddr,
    bits: u8,
}

impl Range {
    /// Exactly this address.
    #[must_use]
    pub fn single(ip: IpAddr) -> Self {
        let base = ip.to_canonical();
        Self { base, bits: if base.is_ipv4() { 32 } else { 128 } }
    }

    /// `base/bits`. A range of IPv4-mapped addresses becomes the IPv4 range. `Err` holds the base that was meant
    /// when bits after the prefix are set, or nothing when the prefix is too long or splits the mapped range.
    pub fn new(base: IpAddr, bits: u8) -> Result<Self, Option<IpAddr>> {
        let (base, bits) = match (base, base.to_canonical()) {
            (IpAddr::V6(_), mapped @ IpAddr::V4(_)) => (mapped, bits.checked_sub(96).ok_or(None)?),
            (base, _) => (base, bits),
        };
        if bits > Self::single(base).bits {
            return Err(None);
        }
        let start = mask(base, bits);
        if start == base { Ok(Self { base, bits }) } else { Err(Some(start)) }
    }

    /// The first address.
    #[must_use]
    pub fn base(&self) -> IpAddr {
        self.base
    }

    /// True when the range is one address.
    #[must_use]
    pub fn is_single(&self) -> bool {
        *self == Self::single(self.base)
    }

    /// Whether the address lies in the range.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        ip.is_ipv4() == self.base.is_ipv4() && mask(ip, self.bits) == self.base
    }

    /// Whether all of the range lies in the other one.
    #[must_use]
    pub fn within(&self, other: &Self) -> bool {
        self.bits >= other.bits && other.contains(self.base)
    }

    /// Whether the range lies within one kind of special space, so that whoever wrote it meant that space.
    /// `0.0.0.0/0` contains the loopback range but does not mean it.
    #[must_use]
    pub fn means(&self, kind: Special) -> bool {
        // The kinds are unions of prefixes. Where a range starts and ends in the same kind it might still contain a
        // gap, but then it is so wide that its ends differ in kind from any private one.
        special(self.base) == Some(kind) && special(self.last()) == Some(kind)
    }

    fn last(&self) -> IpAddr {
        match self.base {
            IpAddr::V4(ip) => {
                Ipv4Addr::from_bits(ip.to_bits() | u32::MAX.checked_shr(self.bits.into()).unwrap_or(0)).into()
            }
            IpAddr::V6(ip) => {
                Ipv6Addr::from_bits(ip.to_bits() | u128::MAX.checked_shr(self.bits.into()).unwrap_or(0))
                    .into()
            }
        }
    }
}

fn mask(ip: IpAddr, bits: u8) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => {
            Ipv4Addr::from_bits(ip.to_bits() & !u32::MAX.checked_shr(bits.into()).unwrap_or(0)).into()
        }
        IpAddr::V6(ip) => {
            Ipv6Addr::from_bits(ip.to_bits() & !u128::MAX.checked_shr(bits.into()).unwrap_or(0)).into()
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn special_space_is_known_in_every_dress() {
        for (text, kind) in [
            ("0.0.0.0", Special::Unspecified),
            ("0.1.2.3", Special::Unspecified),
            ("127.0.0.1", Special::Loopback),
            ("127.255.255.254", Special::Loopback),
            ("10.0.0.1", Special::Private),
            ("172.16.0.1", Special::Private),
            ("172.31.255.255", Special::Private),
            ("192.168.1.1", Special::Private),
            ("169.254.1.1", Special::LinkLocal),
            ("169.254.169.254", Special::Metadata),
            ("100.100.100.200", Special::Metadata),
            ("168.63.129.16", Special::Metadata),
            ("192.0.0.192", Special::Metadata),
            ("100.64.0.1", Special::CarrierNat),
            ("100.127.255.255", Special::CarrierNat),
            ("192.0.0.1", Special::Reserved),
            ("192.0.2.1", Special::Reserved),
            ("198.18.0.1", Special::Reserved),
            ("198.19.255.255", Special::Reserved),
            ("198.51.100.1", Special::Reserved),
            ("203.0.113.1", Special::Reserved),
            ("192.88.99.1", Special::Reserved),
            ("224.0.0.1", Special::Multicast),
            ("255.255.255.255", Special::Multicast),
            ("240.0.0.1", Special::Reserved),
            ("::", Special::Unspecified),
            ("::1", Special::Loopback),
            ("::127.0.0.1", Special::Reserved),
            ("::ffff:127.0.0.1", Special::Loopback),
            ("::ffff:169.254.169.254", Special::Metadata),
            ("64:ff9b::127.0.0.1", Special::Loopback),
            ("64:ff9b::10.0.0.1", Special::Private),
            ("64:ff9b:1::8.8.8.8", Special::Reserved),
            ("2002:7f00:1::", Special::Loopback),
            ("2002:a9fe:a9fe::1", Special::Metadata),
            ("2001:0:4136:e378::1", Special::Reserved),
            ("2001:db8::1", Special::Reserved),
            ("3fff::1", Special::Reserved),
            ("2606:4700::5efe:10.0.0.1", Special::Private),
            ("2606:4700::200:5efe:127.0.0.1", Special::Loopback),
            ("fe80::1", Special::LinkLocal),
            ("fd00::1", Special::Private),
            ("fd00:ec2::254", Special::Metadata),
            ("fec0::1", Special::Private),
            ("ff02::1", Special::Multicast),
            ("100::1", Special::Reserved),
            ("5f00::1", Special::Reserved),
            ("4000::1", Special::Reserved),
        ] {
            assert_eq!(special(ip(text)), Some(kind), "{text}");
        }
    }

    #[test]
    fn the_public_internet_is_public() {
        for text in [
            "8.8.8.8",
            "93.184.216.34",
            "172.15.255.255",
            "172.32.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
        ] {
            assert_eq!(special(ip(text)), None, "{text}");
        }
    }

    #[test]
    fn loopback_is_own_and_the_outside_is_not() {
        for text in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            assert!(is_own(ip(text)).unwrap(), "{text}");
        }
        // With a route it is elsewhere, without one it is an error.
        assert!(!is_own(ip("192.0.2.1")).unwrap_or(false));
    }

    #[test]
    fn ranges() {
        let range = Range::new(ip("10.1.0.0"), 16).unwrap();
        assert!(range.contains(ip("10.1.255.255")) && range.contains(ip("::ffff:10.1.0.9")));
        assert!(!range.contains(ip("10.2.0.0")) && !range.contains(ip("::1")));
        assert_eq!(Range::new(ip("10.1.2.3"), 16), Err(Some(ip("10.1.0.0"))));
        assert_eq!(Range::new(ip("10.0.0.0"), 33), Err(None));
        assert_eq!(Range::new(ip("::ffff:10.0.0.0"), 104), Range::new(ip("10.0.0.0"), 8));
        assert_eq!(Range::new(ip("::ffff:0.0.0.0"), 64), Err(None));
        let wide = Range::new(ip("10.0.0.0"), 8).unwrap();
        assert!(range.within(&wide) && range.within(&range) && !wide.within(&range));
        assert!(!Range::single(ip("11.0.0.0")).within(&wide) && !Range::single(ip("::")).within(&wide));
        assert!(Range::new(ip("::"), 0).unwrap().contains(ip("2606::1")));
        assert!(Range::new(ip("0.0.0.0"), 0).unwrap().contains(ip("1.2.3.4")));
    }

    #[test]
    fn a_range_means_what_it_lies_in() {
        let means = |base, bits, kind| Range::new(ip(base), bits).unwrap().means(kind);
        assert!(means("10.0.0.0", 8, Special::Private));
        assert!(means("127.0.0.0", 8, Special::Loopback));
        assert!(means("169.254.0.0", 16, Special::LinkLocal));
        assert!(means("169.254.169.254", 32, Special::Metadata));
        assert!(means("fc00::", 7, Special::Private));
        assert!(!means("0.0.0.0", 0, Special::Loopback));
        assert!(!means("8.0.0.0", 6, Special::Private));
        assert!(!means("169.254.0.0", 16, Special::Metadata));
        assert!(!means("168.0.0.0", 7, Special::LinkLocal));
    }

    proptest! {
        #[test]
        fn what_carries_ipv4_is_as_special_as_it(bits in any::<u32>()) {
            let carried = Ipv4Addr::from_bits(bits);
            let [a, b, c, d] = carried.octets();
            let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            let expected = special(carried.into());
            for dress in [
                carried.to_ipv6_mapped(),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
                Ipv6Addr::new(0x2a00, 1, 2, 3, 0, 0x5efe, high, low),
            ] {
                prop_assert_eq!(special(dress.into()), expected);
            }
        }

        #[test]
        fn a_range_holds_its_ends(base in any::<IpAddr>(), bits in 0u8..=128) {
            let base = base.to_canonical();
            let bits = bits.min(Range::single(base).bits);
            let range = Range::new(mask(base, bits), bits).unwrap();
            prop_assert!(range.contains(base) && range.contains(range.base) && range.contains(range.last()));
        }
    }
}
