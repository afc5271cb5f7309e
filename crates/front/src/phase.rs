//! How far the server's stop has come. Sessions wait for it beside their client.

use tokio::sync::watch;

/// In the order in which a stop goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Everybody is served.
    Open,
    /// Transactions under way may end; no new one begins.
    Closing,
    /// The grace is over: nobody is waited for.
    Over,
}

/// Resolves once the phase is reached, or its sender is gone.
pub(crate) async fn reached(current: &mut watch::Receiver<Phase>, phase: Phase) {
    let _ = current.wait_for(|now| *now >= phase).await;
}
