//! What providers have in common whose service takes a line for a shell and gives back a stream: Daytona and Northflank.
//!
//! The line a command becomes ([`Script`]) reports, within the command's own output, that the program was started, that
//! it could not be, and how it ended ([`Markers`]). So the end of a command and its exit code are known when its last
//! output is, on services that lose or delay them; and all that was written before the end has arrived when the end has.
//! Ending a tree of processes is a script as well ([`stop`]).

mod check;
mod create;
#[cfg(test)]
pub(crate) mod lifecycle;
mod markers;
mod options;
mod places;
mod process;
mod script;
mod stop;

pub(crate) use check::{check_command, check_env, check_id, check_working_directory};
pub(crate) use create::{persist, unattended};
pub(crate) use options::Fields;
pub(crate) use places::{check_path, full_path, places};
pub(crate) use process::{Raw, Reach, Start, Unwanted, Wire, start};
pub(crate) use script::{Input, Names, Script, WORKING_DIRECTORY, exports};
pub(crate) use stop::{Report, report, tenths, words as stop_words};
