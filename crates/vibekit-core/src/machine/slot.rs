//! A sandbox as the machine knows it.

use std::collections::{BTreeSet, VecDeque};

use crate::Error;
use crate::protocol::{OpId, Ticket, TimerId};

/// How far a sandbox is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Asked for.
    Opening,
    /// Asked for, and given up waiting. The answer may still come.
    Abandoned,
    /// There.
    Live,
    /// Being killed.
    Closing,
}

/// One sandbox, from the request to open it until it is closed, released or lost.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) phase: Phase,
    /// The session it was to resume.
    pub(super) resume: Option<String>,
    /// Its id, once known.
    pub(super) id: Option<String>,
    /// Somebody outside has learnt the id, so letting go of the sandbox does not lose it.
    pub(super) told: bool,
    /// Is to be killed as soon as it is there.
    pub(super) doomed: bool,
    pub(super) paused: bool,
    /// Commands in it can be held to reading.
    pub(super) read_only: bool,
    /// It went away while it was being killed.
    pub(super) lost: Option<Error>,
    /// The repository was cloned into it by this object.
    pub(super) cloned: bool,
    /// The call that is cloning it just now, and calls that wait for that.
    pub(super) cloning: Option<OpId>,
    pub(super) parked: Vec<OpId>,
    /// What the agents' conversations in it need to go on.
    pub(super) record: crate::session::Record,
    /// Calls that wait for it to open.
    pub(super) waiting: Vec<OpId>,
    /// Calls that work in it.
    pub(super) users: BTreeSet<OpId>,
    /// Kills that wait for it to be gone.
    pub(super) closers: Vec<OpId>,
    /// Pauses and thaws, one at a time.
    pub(super) controls: VecDeque<OpId>,
    /// The pause or thaw that was asked for.
    pub(super) control: Option<Ticket>,
    /// Limit on opening, or until the next attempt to close it.
    pub(super) alarm: Option<TimerId>,
    /// Attempts to close it that failed with nobody waiting for them.
    pub(super) close_failures: usize,
}

impl Slot {
    pub(super) fn opening(resume: Option<String>, alarm: TimerId) -> Self {
        Self {
            phase: Phase::Opening,
            resume,
            id: None,
            told: false,
            doomed: false,
            paused: false,
            read_only: false,
            lost: None,
            cloned: false,
            cloning: None,
            parked: Vec::new(),
            record: crate::session::Record::default(),
            waiting: Vec::new(),
            users: BTreeSet::new(),
            closers: Vec::new(),
            controls: VecDeque::new(),
            control: None,
            alarm: Some(alarm),
            close_failures: 0,
        }
    }

    /// Takes new work as soon as it can.
    pub(super) fn accepts(&self) -> bool {
        match self.phase {
            Phase::Opening => !self.doomed,
            Phase::Live => true,
            Phase::Abandoned | Phase::Closing => false,
        }
    }

    /// Letting go of it loses nothing: it can be found again by an id somebody has.
    pub(super) fn can_be_found_again(&self) -> bool {
        self.id.is_some() && (self.told || self.resume == self.id)
    }
}
