//! Flags that the installed program of an agent does not know: found out once, kept with the session.

use serde_json::Value;

use super::script::notice;
use super::steps::Stage;
use super::work::{Request, Suspect};
use super::{Kind, Machine};
use crate::agents::{self, AgentKind, Look};
use crate::protocol::{Channel, OpId};
use crate::script::Script;
use crate::session::Installed;

/// Code of the notice that a turn runs again without a flag.
pub(super) const FLAG_REFUSED: &str = "flag_refused";

impl Machine {
    fn agent_kind(&self) -> Option<AgentKind> {
        self.setup.agent().map(|agent| agent.kind)
    }

    /// Before a turn in a session whose record knows flags that were refused: is it still that program? True when that is
    /// being found out.
    pub(super) fn compare_program(&mut self, op: OpId) -> bool {
        if self.compared || !self.native() {
            return false;
        }
        let Some(kind) = self.agent_kind() else { return false };
        let Some((work, ticket)) = self.work(op) else { return false };
        let known = |known: &Installed| known.agent == kind.as_str();
        let is_turn = matches!(work.request, Request::Generate(_));
        if !is_turn || !self.slots.get(&ticket).is_some_and(|slot| slot.record.programs.iter().any(known)) {
            return false;
        }
        self.compared = true;
        self.look_at_program(op, kind, Stage::Program);
        true
    }

    fn look_at_program(&mut self, op: OpId, kind: AgentKind, stage: Stage) {
        let directory = self.place(op);
        let help = stage == Stage::Flags;
        self.begin_script(op, stage, Script::new(|desk| agents::look(desk, kind, directory, help)));
    }

    /// Which program it is now.
    pub(super) fn program_told(&mut self, op: OpId, told: &Value) {
        let Look { file, .. } = Look::of(told);
        if let Some(kind) = self.agent_kind()
            && let Some((_, ticket)) = self.work(op)
            && let Some(slot) = self.slots.get_mut(&ticket)
        {
            let programs = &mut slot.record.programs;
            programs.retain(|known| known.agent != kind.as_str() || known.file == file);
            for program in programs.iter().filter(|known| known.agent == kind.as_str()) {
                self.dropped_flags.extend(program.refused.iter().cloned());
            }
        }
        self.main(op);
    }

    /// A turn ended as it would if its program did not like its arguments: is it that?
    pub(super) fn suspect_flags(&mut self, op: OpId, suspect: Suspect) {
        let has_flags = self.work(op).is_some_and(|(work, _)| !work.flags.is_empty());
        if !has_flags || self.asked_flags || !self.native() {
            return self.fail_suspect(op, suspect);
        }
        if let Some((work, _)) = self.work_mut(op) {
            // Should the call end meanwhile, the turn's last event is still owed.
            work.unfinished = Some((suspect.envelope.clone(), suspect.finished.clone()));
            work.suspect = Some(Box::new(suspect));
        }
        self.ask_flags(op);
    }

    /// Asks the program which flags it knows, once, and runs the turn again.
    pub(super) fn ask_flags(&mut self, op: OpId) {
        match self.agent_kind() {
            Some(kind) if !self.asked_flags => {
                self.asked_flags = true;
                self.look_at_program(op, kind, Stage::Flags);
            }
            _ => self.main(op),
        }
    }

    /// What it said: flags it does not list are left out from now on.
    pub(super) fn flags_told(&mut self, op: OpId, told: &Value) {
        let Some(kind) = self.agent_kind() else { return self.main(op) };
        let Look { file, help } = Look::of(told);
        let mut unlisted = agents::unlisted_flags(kind, &help);
        unlisted.retain(|flag| !self.dropped_flags.contains(flag));
        let Some((work, ticket)) = self.work_mut(op) else { return };
        let suspect = work.suspect.take();
        let in_use = unlisted.iter().any(|flag| work.flags.contains(&flag.as_str()));
        self.dropped_flags.extend(unlisted.iter().cloned());
        self.compared = true;
        if let Some(slot) = self.slots.get_mut(&ticket) {
            let refused = self.dropped_flags.clone();
            slot.record.set_program(Installed { agent: kind.as_str().to_owned(), file, refused });
        }
        match suspect {
            // It was something else.
            Some(suspect) if !in_use => self.fail_suspect(op, *suspect),
            Some(suspect) => {
                let flags = unlisted.join(", ");
                self.tell(
                    op,
                    &suspect,
                    &format!("The installed agent does not know {flags}; the turn runs without."),
                );
                self.main(op);
            }
            None => self.main(op),
        }
    }

    fn tell(&mut self, op: OpId, suspect: &Suspect, message: &str) {
        let now = self.now;
        let Some(Kind::Work(work)) = self.ops.get_mut(&op).map(|op| &mut op.kind) else { return };
        if let Request::Generate(generate) = &mut work.request {
            generate.flags_dropped += 1;
        }
        let Some((_, ticket)) = self.work(op) else { return };
        let Some(slot) = self.slots.get_mut(&ticket) else { return };
        let text = suspect.envelope.wrap(notice(FLAG_REFUSED, message), true, now, &mut slot.record.seq);
        self.emit(op, &[Channel::Event], text);
    }
}
