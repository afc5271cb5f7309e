//! A message as it comes in: decoded, measured, kept in memory or past a limit in a file.
//!
//! Whatever is wrong with it, the octets are taken up to the real end of the message; once it is
//! refused they are no longer kept.

use std::io;
use std::sync::Arc;

use bytes::{Buf as _, Bytes, BytesMut};
use memchr::memmem;
use posthouse_hook::{Content, Header, Id, Refusal};

use crate::codec::DataDecoder;
use crate::service::Service;
use crate::spool::SpoolWriter;

/// Octets of room for the first read of a message, and for each once it is known to be long.
const FIRST_ROOM: usize = 16_384;
const ROOM: usize = 65_536;

/// A message that is not yet complete.
pub(crate) struct Incoming {
    service: Arc<Service>,
    id: Id,
    decoder: DataDecoder,
    octets: u64,
    header: Section,
    /// All of the message, or what is not yet in the file.
    memory: Vec<u8>,
    file: Option<SpoolWriter>,
    refusal: Option<Refusal>,
}

/// How much is known of the header section.
#[derive(Debug, Clone, Copy)]
enum Section {
    /// Its end is not among the first so many octets.
    EndsAfter(usize),
    /// It was handed out.
    Taken,
}

/// Whether there is more to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The end was not seen yet.
    Open,
    /// All of it is there.
    Ended,
    /// It is so far over the size limit that its end is not waited for.
    Endless,
}

impl Incoming {
    /// Nothing yet of the message of transaction `id`. The declared size is only a hint.
    pub(crate) fn new(service: Arc<Service>, id: Id, declared: Option<u64>) -> Self {
        let hint = declared.and_then(|size| usize::try_from(size).ok());
        let most = service.limits.memory_per_message;
        Self {
            memory: Vec::with_capacity(hint.unwrap_or(0).min(most)),
            service,
            id,
            decoder: DataDecoder::default(),
            octets: 0,
            header: Section::EndsAfter(0),
            file: None,
            refusal: None,
        }
    }

    /// How much to read next.
    pub(crate) fn room(&self) -> usize {
        if self.octets < FIRST_ROOM as u64 {
            FIRST_ROOM
        } else {
            ROOM
        }
    }

    /// Takes what belongs to the message out of the inbox.
    pub(crate) fn decode(&mut self, inbox: &mut BytesMut) -> Progress {
        let keep = self.refusal.is_none();
        let (memory, octets) = (&mut self.memory, &mut self.octets);
        let end = self.decoder.decode(inbox, |run| {
            *octets += run.len() as u64;
            if keep {
                memory.extend_from_slice(run);
            }
        });
        inbox.advance(end.unwrap_or(inbox.len()));
        self.judge();
        match end {
            Some(_) => Progress::Ended,
            None if self.octets / 2 > self.service.limits.message_size => Progress::Endless,
            None => Progress::Open,
        }
    }

    fn judge(&mut self) {
        if self.decoder.saw_bare_line_end() {
            self.refuse(Refusal::bare_line_end());
        }
        if self.octets > self.service.limits.message_size {
            self.refuse(Refusal::message_too_big());
        }
    }

    /// Refuses the message, unless it is refused already, and lets go of what was kept.
    pub(crate) fn refuse(&mut self, refusal: Refusal) {
        self.refusal.get_or_insert(refusal);
        self.memory = Vec::new();
        self.file = None;
    }

    /// The header section, once, when it is complete; at the end of the message at the latest.
    /// `None` too if the message is refused: nobody needs to judge it any more.
    pub(crate) fn take_header(&mut self, progress: Progress) -> Option<Header> {
        let Section::EndsAfter(searched) = self.header else {
            return None;
        };
        // What was searched is gone with the refusal.
        if self.refusal.is_some() {
            return None;
        }
        let found = end_of_header(&self.memory, searched);
        let most = self.service.limits.header_size;
        if found.unwrap_or(self.memory.len()) > most {
            self.refuse(Refusal::header_too_big());
            return None;
        }
        let end = found.or((progress == Progress::Ended).then_some(self.memory.len()));
        let Some(end) = end else {
            self.header = Section::EndsAfter(self.memory.len());
            return None;
        };
        self.header = Section::Taken;
        let raw = Bytes::copy_from_slice(&self.memory[..end]);
        Some(Header::parse(raw))
    }

    /// Moves what is in memory to the file, if it is too much. The header section stays in memory
    /// until it was taken.
    pub(crate) async fn spill(&mut self) {
        let most = self.service.limits.memory_per_message;
        if self.memory.len() > most && matches!(self.header, Section::Taken) {
            self.append().await;
        }
    }

    async fn append(&mut self) {
        if let Err(error) = self.try_append().await {
            tracing::error!(id = %self.id, %error, "message not spooled");
            self.refuse(refusal_of(&error));
        }
    }

    async fn try_append(&mut self) -> io::Result<()> {
        let mut file = match self.file.take() {
            Some(file) => file,
            None => self.service.spool.create(self.id).await?,
        };
        self.memory = file.append(std::mem::take(&mut self.memory)).await?;
        self.file = Some(file);
        Ok(())
    }

    /// The whole message, or why it is refused.
    pub(crate) async fn finish(mut self) -> Result<Content, Refusal> {
        if self.file.is_some() {
            self.append().await;
        }
        if let Some(refusal) = self.refusal {
            return Err(refusal);
        }
        Ok(match self.file {
            Some(file) => Content::Spooled(Arc::new(file.finish())),
            None => Content::Memory(trimmed(self.memory)),
        })
    }

    /// Octets so far, dot-stuffing undone.
    pub(crate) fn octets(&self) -> u64 {
        self.octets
    }
}

/// The bytes without much unused room behind them: they may wait in memory for their next hop.
fn trimmed(mut memory: Vec<u8>) -> Bytes {
    if memory.capacity() - memory.len() > memory.len() / 4 + 1_024 {
        memory.shrink_to_fit();
    }
    memory.into()
}

/// The index behind the empty line that ends the header section. It is not in the first `searched`
/// octets.
fn end_of_header(message: &[u8], searched: usize) -> Option<usize> {
    if message.starts_with(b"\r\n") {
        return Some(2);
    }
    let from = searched.saturating_sub(3);
    memmem::find(&message[from..], b"\r\n\r\n").map(|at| from + at + 4)
}

fn refusal_of(error: &io::Error) -> Refusal {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Refusal::no_room(),
        _ => Refusal::local_error(),
    }
}
