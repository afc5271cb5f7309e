//! Greylisting: who tries to send what to whom.

use posthouse_hook::Timestamp;

/// What a try is remembered by, each in a form that the next try has too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GreyTriplet {
    /// The client's network.
    pub network: String,
    /// The sender; empty for the null reverse-path.
    pub sender: String,
    /// The recipient.
    pub recipient: String,
}

/// What is known of a triplet that was tried before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GreyTry {
    /// When first.
    pub first: Timestamp,
    /// Whether it came again in time.
    pub passed: bool,
    /// Until when it is remembered.
    pub expires: Timestamp,
}

/// What is known of a network that has come again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GreyNetwork {
    /// How many triplets of it have.
    pub successes: u32,
    /// Until when it is remembered.
    pub expires: Timestamp,
}

/// All that is known about a try.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GreySeen {
    /// The triplet, if it is remembered.
    pub tried: Option<GreyTry>,
    /// Its network, if it is remembered.
    pub network: Option<GreyNetwork>,
}
