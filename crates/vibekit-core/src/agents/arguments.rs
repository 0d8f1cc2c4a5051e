//! Puts argument lists together.

use super::TurnRequest;

/// Arguments of a program, with the flags left out that the installed version was found to refuse.
pub(super) struct Arguments<'a> {
    list: Vec<String>,
    dropped: &'a [String],
}

impl<'a> Arguments<'a> {
    pub(super) const fn new(request: &TurnRequest<'a>) -> Self {
        Self { list: Vec::new(), dropped: request.dropped_flags }
    }

    /// Arguments the turn cannot do without.
    pub(super) fn add<const N: usize>(&mut self, arguments: [&str; N]) -> &mut Self {
        self.list.extend(arguments.map(str::to_owned));
        self
    }

    /// A flag, with its values, that older versions of the program may not know and a turn can do without.
    pub(super) fn optional<const N: usize>(&mut self, arguments: [&str; N]) -> &mut Self {
        if !self.dropped.iter().any(|dropped| dropped == arguments[0]) {
            self.add(arguments);
        }
        self
    }

    pub(super) fn done(&mut self) -> Vec<String> {
        std::mem::take(&mut self.list)
    }
}

/// Environment from names and values that may be absent.
pub(super) fn environment<const N: usize>(entries: [(&str, Option<&str>); N]) -> Vec<(String, String)> {
    entries.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect()
}
