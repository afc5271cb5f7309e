//! The ledger and the spool: the only crate with SQL.
//!
//! One writer thread gathers what waits and commits it once (WAL, synchronous FULL); readers have
//! connections of their own. Nothing outside this crate writes a recipient's state.

mod handoff;
pub mod model;
pub mod state;
mod store;

pub use handoff::Reserved;
pub use model::*;
pub use state::{Event, State, next};
pub use store::{Store, StoreError};
