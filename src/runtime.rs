//! The addon's tokio runtime: made at first use, shared by all environments (main thread and workers) of the process.

use std::sync::OnceLock;

use tokio::runtime::{Builder, Handle, Runtime};

static RUNTIME: OnceLock<Runtime> = OnceLock::new();

/// Handle to the runtime. Two workers: the work is waiting for pipes and sockets, not computing.
pub(crate) fn handle() -> &'static Handle {
    RUNTIME
        .get_or_init(|| {
            quiet_panics();
            Builder::new_multi_thread()
                .worker_threads(2)
                // Files and name look-ups only; idle ones go away.
                .max_blocking_threads(16)
                .thread_name("vibekit")
                .enable_all()
                .build()
                .unwrap_or_else(|error| panic!("cannot start worker threads: {error}"))
        })
        .handle()
}

/// A panic on one of our threads becomes a failure of the operation, text included; printing it to the host's
/// standard error as well would be noise. Other threads keep whatever hook the process had.
fn quiet_panics() {
    let former = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if std::thread::current().name() != Some("vibekit") {
            former(info);
        }
    }));
}
