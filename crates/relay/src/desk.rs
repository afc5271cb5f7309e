//! Where all of our own mail is written: a template for the text, typed fields for the header
//! section, and, if there is a key, a DKIM signature over the whole.

use std::path::Path;

use lettre::message::SinglePart;
use posthouse_hook::{Domain, ForwardPath, Id, Language, Timestamp};
use serde::Serialize;

use crate::dkim::{DkimConfig, DkimError, Signer};
use crate::own::{Auto, Sheet};
use crate::templates::{TemplateError, Templates};
use crate::texts::Text;

/// Why a mail of ours cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// Its template is broken.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// It cannot be signed.
    #[error(transparent)]
    Dkim(#[from] DkimError),
}

/// What all of our own mail is written with.
pub(crate) struct Desk {
    pub(crate) ours: Domain,
    pub(crate) templates: Templates,
    pub(crate) signer: Option<Signer>,
}

/// One mail that is to be written.
pub(crate) struct Page<'a> {
    pub(crate) text: Text,
    pub(crate) language: Language,
    /// From, as RFC 5322 writes it.
    pub(crate) from: String,
    pub(crate) to: &'a ForwardPath,
    pub(crate) subject: &'a str,
    /// The URL that stops such mail. It goes into the header section only if a client may act on it.
    pub(crate) stop: Option<&'a str>,
    pub(crate) id: Id,
    pub(crate) date: Timestamp,
}

impl Desk {
    /// Reads the templates in `dir`, which replace the built-in ones of the same name, and the key.
    pub(crate) fn new(
        ours: Domain,
        dir: Option<&Path>,
        dkim: Option<&DkimConfig>,
    ) -> Result<Self, MailError> {
        Ok(Self {
            ours,
            templates: Templates::load(dir)?,
            signer: dkim.map(Signer::load).transpose()?,
        })
    }

    /// The whole mail.
    pub(crate) fn compose(
        &self,
        page: &Page<'_>,
        facts: &impl Serialize,
    ) -> Result<Vec<u8>, MailError> {
        let text = self.templates.render(page.text, page.language, facts)?;
        let sheet = Sheet {
            from: page.from.clone(),
            to: page.to,
            subject: page.subject,
            date: page.date,
            id: page.id,
            auto: Auto::Generated,
            unsubscribe: page.stop.filter(|stop| self.may_unsubscribe(stop)),
            ours: &self.ours,
        };
        Ok(self.seal(sheet.over(&SinglePart::plain(text).formatted()))?)
    }

    /// Signs it, if there is a key.
    pub(crate) fn seal(&self, message: Vec<u8>) -> Result<Vec<u8>, DkimError> {
        match &self.signer {
            Some(signer) => signer.sign(message),
            None => Ok(message),
        }
    }

    /// RFC 8058 §3.1, §4: an https URL, under a signature that covers both fields.
    fn may_unsubscribe(&self, stop: &str) -> bool {
        self.signer.is_some() && stop.starts_with("https://")
    }
}
