//! DKIM signatures (RFC 6376) on our own mail: the key, and the fields that a signature covers.
//!
//! Mail that passes through is never signed here: not one octet of it changes.

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use mail_auth::common::crypto::{Ed25519Key, RsaKey, Sha256};
use mail_auth::common::headers::HeaderWriter as _;
use mail_auth::dkim::{DkimSigner, Done, Signature};
use posthouse_hook::Domain;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Deserialize;

/// What a signature covers. What stands twice, or is absent, cannot be added without breaking it
/// (RFC 6376 §8.15); RFC 8058 §4 wants both List-Unsubscribe fields covered.
const SIGNED: [&str; 19] = [
    "From",
    "From",
    "To",
    "To",
    "Subject",
    "Subject",
    "Date",
    "Date",
    "List-Unsubscribe",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "List-Unsubscribe-Post",
    "Reply-To",
    "Cc",
    "Message-ID",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "Auto-Submitted",
];
/// Octets of a key file that are read.
const MAX_FILE: u64 = 64 * 1024;
const WAY_OUT: &str = "name a PEM file with a private RSA key of 2048 bits or more (openssl genrsa 2048) or an Ed25519 key (openssl genpkey -algorithm ed25519)";

/// The table `[letters.dkim]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DkimConfig {
    /// The domain that signs: that of `letters.from`, or one above it (RFC 6376 §3.5, `d=`).
    pub domain: Domain,
    /// Under which name below `_domainkey` the public key stands (`s=`).
    pub selector: Selector,
    /// Where the private key is.
    pub key: KeyFile,
}

/// A selector: one or several labels (RFC 6376 §3.1).
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Selector(String);

impl TryFrom<String> for Selector {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match Domain::parse(&text) {
            Ok(_) => Ok(Self(text)),
            Err(_) => Err(format!(
                "`{text}` is no selector; write a word such as s2026"
            )),
        }
    }
}

/// `file:PATH` of a private key in PEM.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct KeyFile(PathBuf);

impl KeyFile {
    /// The same file, with a relative path that starts at `base`.
    pub fn below(&self, base: &Path) -> Self {
        Self(base.join(&self.0))
    }

    /// The file, if others than its owner and group may read or change it.
    pub fn open_to_others(&self) -> Option<&Path> {
        let rights = std::fs::metadata(&self.0).ok()?.permissions().mode();
        (rights & 0o007 != 0).then_some(&self.0)
    }
}

impl TryFrom<String> for KeyFile {
    type Error = &'static str;

    /// The text may be a key: no error repeats it.
    fn try_from(text: String) -> Result<Self, &'static str> {
        match text.strip_prefix("file:").filter(|path| !path.is_empty()) {
            Some(path) => Ok(Self(PathBuf::from(path))),
            None => Err("a key stands in a file of its own; write file:PATH"),
        }
    }
}

/// Why nothing can be signed.
#[derive(Debug, thiserror::Error)]
pub enum DkimError {
    /// The file is not there, or not for us.
    #[error("letters.dkim: the key `{0}` cannot be read: {1}; make it readable for this user")]
    Unreadable(PathBuf, std::io::Error),
    /// The file holds no key that we can sign with.
    #[error("letters.dkim: `{0}` holds no key to sign with: {1}; {WAY_OUT}")]
    Unusable(PathBuf, String),
    /// The key failed at its work.
    #[error("a signature could not be made: {0}")]
    Failed(String),
}

/// Signs our own mail.
pub(crate) enum Signer {
    Rsa(Box<DkimSigner<RsaKey<Sha256>, Done>>),
    Ed25519(Box<DkimSigner<Ed25519Key, Done>>),
}

/// A private key of one of the two kinds (RFC 6376 §3.3.1, RFC 8463).
enum Key {
    Rsa(RsaKey<Sha256>),
    Ed25519(Ed25519Key),
}

impl Signer {
    /// Reads the key.
    pub(crate) fn load(config: &DkimConfig) -> Result<Self, DkimError> {
        let (domain, selector) = (config.domain.as_str(), &config.selector.0);
        let KeyFile(file) = &config.key;
        Ok(match read_key(file)? {
            Key::Rsa(key) => {
                let signer = DkimSigner::from_key(key).domain(domain).selector(selector);
                Self::Rsa(Box::new(signer.headers(SIGNED)))
            }
            Key::Ed25519(key) => {
                let signer = DkimSigner::from_key(key).domain(domain).selector(selector);
                Self::Ed25519(Box::new(signer.headers(SIGNED)))
            }
        })
    }

    /// The message below a DKIM-Signature field, relaxed/relaxed.
    pub(crate) fn sign(&self, message: Vec<u8>) -> Result<Vec<u8>, DkimError> {
        let field = self.signature(&message)?.to_header();
        let mut signed = field.into_bytes();
        signed.extend_from_slice(&message);
        Ok(signed)
    }

    fn signature(&self, message: &[u8]) -> Result<Signature, DkimError> {
        let signature = match self {
            Self::Rsa(signer) => signer.sign(message),
            Self::Ed25519(signer) => signer.sign(message),
        };
        signature.map_err(|error| DkimError::Failed(error.to_string()))
    }
}

fn read_key(file: &Path) -> Result<Key, DkimError> {
    let pem = read(file).map_err(|error| DkimError::Unreadable(file.to_owned(), error))?;
    let unusable = |why: String| DkimError::Unusable(file.to_owned(), why);
    let der = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| unusable(error.to_string()))?;
    key(der).map_err(unusable)
}

fn read(file: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(file)?;
    file.take(MAX_FILE).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn key(der: PrivateKeyDer<'_>) -> Result<Key, String> {
    if let PrivateKeyDer::Pkcs8(der) = &der {
        // Unchecked: openssl writes the private half alone.
        let key = Ed25519Key::from_pkcs8_maybe_unchecked_der(der.secret_pkcs8_der());
        if let Ok(key) = key {
            return Ok(Key::Ed25519(key));
        }
    }
    RsaKey::from_key_der(der)
        .map(Key::Rsa)
        .map_err(|error| error.to_string())
}
