//! The configuration: one TOML file, read strictly, with errors that lead back to the line.

mod build;
mod common;
#[cfg(test)]
mod example;
mod fault;
mod lists;
mod load;
mod mode;
mod sections;
mod warn;

pub(crate) use build::{Chains, build};
pub(crate) use common::{common, reach};
pub(crate) use fault::{Fault, Faults};
pub(crate) use lists::Lists;
pub(crate) use load::{Loaded, find, load, parse};
pub(crate) use sections::{Config, Dns, Listener, Log, LogFilter, LogFormat};
pub(crate) use warn::warnings;
