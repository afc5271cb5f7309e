//! Logs: structured, on standard error, as text or JSON.

use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};

/// What is logged by default: our own doings, and of the migrations only what goes wrong.
const DEFAULT: &str = "info,refinery_core=warn";

/// Starts logging. The environment's `POSTHOUSE_LOG` beats the configuration.
pub(crate) fn start(config: &Log) {
    let wanted = std::env::var("POSTHOUSE_LOG").ok();
    let filter = wanted
        .as_deref()
        .or(config.filter.as_deref())
        .unwrap_or(DEFAULT);
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(std::io::stderr);
    // A second start, as in tests, keeps the first.
    let _ = match config.format {
        LogFormat::Text => subscriber.with_ansi(false).try_init(),
        LogFormat::Json => subscriber.json().try_init(),
    };
}
