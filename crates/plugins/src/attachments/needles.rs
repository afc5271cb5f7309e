//! Names of streams in a compound file (MS-CFB) that say what it holds. They are looked for as
//! they are written, in UTF-16, without reading the directory that they stand in.

use super::cause::{Cause, Kind};

const MACROS: &str = "_VBA_PROJECT";
const ENCRYPTED: &str = "EncryptedPackage";
/// Octets that are kept for a name that lies across two pieces.
const SEAM: usize = 40;

/// What was seen so far.
#[derive(Default)]
pub(super) struct Needles {
    seam: Vec<u8>,
}

impl Needles {
    /// What the next piece tells.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Option<Cause> {
        self.seam.extend_from_slice(bytes);
        let holds = |text: &str| memchr::memmem::find(&self.seam, &utf16(text)).is_some();
        let cause = if holds(MACROS) {
            Some(Cause::Kind(Kind::Macro))
        } else {
            holds(ENCRYPTED).then_some(Cause::Encrypted)
        };
        self.seam.drain(..self.seam.len().saturating_sub(SEAM));
        cause
    }
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}
