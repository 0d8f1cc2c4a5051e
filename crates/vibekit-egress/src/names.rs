//! Addresses handed out for names.
//!
//! A lookup is answered with an address of a range that exists nowhere (198.18.0.0/15, RFC 2544). A connection to it
//! says which name was meant, and no program inside ever sees a real address it could reach the name's neighbours by.
//! IPv6 needs no counterpart: every program that can connect at all can over IPv4, and "no IPv6 address" is an answer
//! all understand.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};

use crate::host::Name;

/// First address of the range.
pub(crate) const BASE: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 0);
/// Bits all addresses of it begin with.
pub(crate) const BITS: u8 = 15;
/// Addresses in it.
const SIZE: u32 = 1 << (32 - BITS);
/// Most names remembered at a time: an eighth of the range, so that a free address is near.
const CAPACITY: usize = 1 << 14;

/// The names of one session. The same name has the same address in every session, as long as no other name was there
/// first; a program that remembers an answer for longer than it should meets no other name by it.
pub(crate) struct Names {
    base: u32,
    by_name: HashMap<Name, u32>,
    by_offset: HashMap<u32, Entry>,
    /// Offsets in the order they were given.
    age: VecDeque<u32>,
}

struct Entry {
    name: Name,
    /// Used since it was last considered for removal.
    used: bool,
}

impl Names {
    pub(crate) fn new(base: Ipv4Addr) -> Self {
        Self {
            base: base.to_bits(),
            by_name: HashMap::new(),
            by_offset: HashMap::new(),
            age: VecDeque::new(),
        }
    }

    /// Whether the address is of the range, given or not.
    pub(crate) fn covers(&self, ip: IpAddr) -> bool {
        self.offset(ip).is_some()
    }

    /// The name an address was given for.
    pub(crate) fn name(&mut self, ip: IpAddr) -> Option<Name> {
        let entry = self.by_offset.get_mut(&self.offset(ip)?)?;
        entry.used = true;
        Some(entry.name.clone())
    }

    /// The address of a name.
    pub(crate) fn address(&mut self, name: &Name) -> Ipv4Addr {
        if let Some(&offset) = self.by_name.get(name) {
            if let Some(entry) = self.by_offset.get_mut(&offset) {
                entry.used = true;
            }
            return Ipv4Addr::from_bits(self.base + offset);
        }
        while self.age.len() >= CAPACITY {
            self.forget_one();
        }
        // Neither the first nor the last address: programs take them for a network and a broadcast.
        let mut offset = hash(name) % (SIZE - 2) + 1;
        while self.by_offset.contains_key(&offset) {
            offset = offset % (SIZE - 2) + 1;
        }
        self.by_name.insert(name.clone(), offset);
        self.by_offset.insert(offset, Entry { name: name.clone(), used: false });
        self.age.push_back(offset);
        Ipv4Addr::from_bits(self.base + offset)
    }

    /// Forgets the oldest name that was not used lately.
    fn forget_one(&mut self) {
        while let Some(offset) = self.age.pop_front() {
            match self.by_offset.get_mut(&offset) {
                Some(entry) if entry.used => {
                    entry.used = false;
                    self.age.push_back(offset);
                }
                _ => {
                    if let Some(entry) = self.by_offset.remove(&offset) {
                        self.by_name.remove(&entry.name);
                    }
                    return;
                }
            }
        }
    }

    fn offset(&self, ip: IpAddr) -> Option<u32> {
        let IpAddr::V4(ip) = ip.to_canonical() else { return None };
        ip.to_bits().checked_sub(self.base).filter(|&offset| offset < SIZE)
    }
}

/// FNV-1a: the same on every host and in every version, which the hashes of the standard library need not be.
fn hash(name: &Name) -> u32 {
    name.as_str().bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::addr;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    #[test]
    fn names_have_stable_addresses_of_the_range() {
        let (mut one, mut two) = (Names::new(BASE), Names::new(BASE));
        let first = one.address(&name("a.com"));
        assert_eq!(one.address(&name("A.com.")), first);
        assert_ne!(one.address(&name("b.com")), first);
        two.address(&name("b.com"));
        assert_eq!(two.address(&name("a.com")), first);
        assert_eq!(one.name(first.into()), Some(name("a.com")));
        assert!(one.covers(first.into()) && addr::special(first.into()).is_some());
        assert!(one.covers([198, 19, 255, 255].into()) && !one.covers([198, 20, 0, 0].into()));
        assert!(!one.covers([198, 17, 255, 255].into()));
        let other = IpAddr::from([198, 18, 0, 0]);
        assert_eq!(one.name(other), None);
    }

    #[test]
    fn the_map_is_bounded_and_keeps_what_is_used() {
        let mut names = Names::new(BASE);
        let kept = names.address(&name("kept.com"));
        let lost = names.address(&name("lost.com"));
        for number in 0..2 * CAPACITY {
            names.address(&name(&format!("n{number}.com")));
            names.name(kept.into());
        }
        assert_eq!(names.age.len(), CAPACITY);
        assert_eq!(names.by_name.len(), CAPACITY);
        assert_eq!(names.by_offset.len(), CAPACITY);
        assert_eq!(names.name(kept.into()), Some(name("kept.com")));
        assert_ne!(names.name(lost.into()), Some(name("lost.com")));
    }

    #[test]
    fn two_names_never_share_an_address() {
        let mut names = Names::new(BASE);
        let given: std::collections::HashSet<_> =
            (0..CAPACITY).map(|number| names.address(&name(&format!("n{number}.com")))).collect();
        assert_eq!(given.len(), CAPACITY);
    }
}
