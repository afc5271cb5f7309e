//! The ledger and the spool: the only crate with SQL.
//!
//! One writer thread gathers what waits and commits it once (WAL, synchronous FULL); readers have
//! connections of their own. Nothing outside this crate writes a recipient's state.

mod addresses;
mod audit;
mod body;
mod caps;
mod choices;
mod copies;
mod correspondents;
mod crowd;
mod db;
mod erase;
mod errands;
mod feedback;
mod forget;
mod greylist;
mod handoff;
mod idle;
mod intake;
mod judged;
mod keeping;
mod keyfile;
mod letters;
mod lookup;
mod model;
mod newest;
mod observed;
mod overdue;
mod quarantine;
mod queue;
mod readers;
mod requests;
mod revoke;
mod room;
mod rows;
mod samples;
mod settings;
mod spool;
mod state;
mod store;
mod tally;
mod writer;

pub use handoff::Reserved;
pub use intake::would_cause_letters;
pub use lookup::{Lookup, LookupFault};
pub use model::{
    Actor, Address, Asked, AttemptResult, Attempted, Audited, Became, Bounds, Choices, Claimed,
    ClaimedRecipient, Confirmed, CopyId, Correspondent, Counts, Done, Erased, Errand, ErrandKind,
    Expiries, Filter, GreyNetwork, GreySeen, GreyTriplet, GreyTry, Item, ItemRecipient, Judged,
    JudgedCopy, Kind, LessonDue, LetterCaps, LetterDue, LetterSent, Letters, Objection,
    ObservedCase, ObservedCount, ObservedReport, OwnMessage, Owner, Pending, Proven,
    RecipientChoice, ReleaseCaps, Released, Request, Resent, Sample, Selection, Sender,
    SenderChoice, Settings, StandingCounts, Who, Wish,
};
pub use state::State;
pub use store::{Store, StoreError};
