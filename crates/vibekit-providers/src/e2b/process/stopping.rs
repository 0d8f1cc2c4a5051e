//! Ending a command's whole tree, also in a sandbox that is paused and over a network that is not at its best.

use std::time::Duration;

use tokio::time::sleep;
use vibekit_sandbox::{Result, Stopped};

use super::super::life::State;
use super::super::tree;
use super::Place;

/// Ends the tree of the command with this mark. `main` is its main process, 0 when that has ended already.
pub(super) async fn stop(place: Place, mark: String, main: u32, grace: Duration) -> Result<Stopped> {
    let turn = place.life.turn().await;
    if !place.life.is_paused() {
        drop(turn);
        return end(&place, &mark, main, grace).await;
    }
    // What is frozen cannot be reached, and would go on with the next resume, by whomever. So it is woken for that long; to
    // everything else in here it stays paused.
    let attached = place.control.connect(place.daemon.id()).await?;
    place.daemon.set_token(attached.token);
    let outcome = end(&place, &mark, main, grace).await;
    if place.control.pause(place.daemon.id()).await.is_err() {
        place.life.set_paused(false);
    }
    outcome
}

async fn end(place: &Place, mark: &str, main: u32, grace: Duration) -> Result<Stopped> {
    let mut outcome = tree::end(&place.daemon, mark, main, grace).await;
    for pause in [300, 1200] {
        if outcome.is_ok() || matches!(place.life.state(), State::Over(_)) {
            break;
        }
        // A network that broke the command's own stream may be back in a moment.
        sleep(Duration::from_millis(pause)).await;
        outcome = tree::end(&place.daemon, mark, main, Duration::ZERO).await;
    }
    outcome
}
