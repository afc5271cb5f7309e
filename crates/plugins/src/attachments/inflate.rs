//! Deflate (RFC 1951), piece by piece: what comes out goes on at once, and is counted first.

use flate2::{Decompress, FlushDecompress, Status};

use super::blob::Blob;
use super::look::{Look, Stop};

/// Octets that come out at a time.
const OUT: usize = 16 * 1024;

/// One deflated stream.
pub(super) struct Inflate {
    state: Decompress,
    out: Vec<u8>,
}

/// Where a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// It wants more octets.
    Middle,
    /// It ended; so many octets of the last piece were its own.
    End(usize),
    /// It is no deflate from here on.
    Broken,
}

impl Inflate {
    pub(super) fn new() -> Self {
        Self {
            state: Decompress::new(false),
            out: vec![0; OUT],
        }
    }

    /// Unpacks what can be unpacked, into `blob`.
    pub(super) fn feed(
        &mut self,
        bytes: &[u8],
        blob: &mut Blob,
        look: &mut Look<'_>,
    ) -> Result<At, Stop> {
        let mut used = 0;
        loop {
            let (was_in, was_out) = (self.state.total_in(), self.state.total_out());
            let step = self
                .state
                .decompress(&bytes[used..], &mut self.out, FlushDecompress::None);
            let Ok(status) = step else {
                return Ok(At::Broken);
            };
            used += usize::try_from(self.state.total_in() - was_in).unwrap_or(0);
            let came = usize::try_from(self.state.total_out() - was_out).unwrap_or(0);
            look.unpacks(came)?;
            blob.feed(&self.out[..came], look)?;
            if status == Status::StreamEnd {
                return Ok(At::End(used));
            }
            if came < self.out.len() && (used == bytes.len() || came == 0) {
                return Ok(At::Middle);
            }
        }
    }
}
