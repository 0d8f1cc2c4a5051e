//! Where an operation's deliveries go.

use async_trait::async_trait;
use vibekit_core::Result;
use vibekit_core::http::HttpRequest;
use vibekit_core::protocol::{Channel, Ticket};

/// Receives what one operation delivers: any number of emissions, then exactly one `settle`.
///
/// `emit` and `settle` never block; memory is bounded by [`Sink::ready`], which the driver awaits before it reads on.
#[async_trait]
pub trait Sink: Send + Sync + 'static {
    /// One delivery.
    fn emit(&self, channel: Channel, text: String);
    /// The session id may have changed; the listener reads the current one.
    fn session_changed(&self);
    /// Asks a service. Whoever listens has the host's own means for that (JavaScript has `fetch`, which users replace),
    /// and answers with [`crate::Driver::answer`]; what is not answered when the operation settles is given up.
    fn request(&self, ticket: Ticket, request: HttpRequest);
    /// The outcome. Nothing follows.
    fn settle(&self, result: Result<serde_json::Value>);
    /// Waits until the listener has room for more. `false`: it is gone and the operation should be cancelled.
    async fn ready(&self) -> bool;
}
