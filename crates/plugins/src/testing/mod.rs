//! What this crate's tests share: DNS in memory, surroundings, a chain to ask, a scanner that
//! says what it is told.

mod parts;
mod scanner;
mod zone;

pub(crate) use parts::{Parts, session, step, transaction};
pub(crate) use scanner::Scanner;
pub(crate) use zone::{Zone, ip};
