//! Services' doubles: they speak the wire of the real ones and run commands for real.

pub mod daytona;
mod double;
mod multipart;
pub mod northflank;
mod play;
mod room;
mod serve;

pub use double::{Answer, Ask, Double, Frame, Line, RequestLog};
pub use play::{Play, Player};
pub use room::Room;
pub use serve::{Served, serve};
