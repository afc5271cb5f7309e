//! Where the demo runs: a state directory, a configuration, and no DNS.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use posthouse_hook::{Domain, LookupError, Mx, Resolver};

use super::Failure;
use crate::config::{self, Loaded};

/// The state directory: the one that was asked for, or one that goes with the demo.
pub(super) struct Scratch {
    pub(super) dir: PathBuf,
    temporary: bool,
}

impl Scratch {
    pub(super) fn new(asked: Option<&Path>) -> Result<Self, Failure> {
        let dir = match asked {
            Some(dir) => dir.to_owned(),
            None => std::env::temp_dir().join(format!("posthouse-demo-{}", std::process::id())),
        };
        let temporary = asked.is_none();
        // Everybody may write where temporary files are: one that is there already is not ours.
        std::fs::DirBuilder::new()
            .recursive(!temporary)
            .mode(0o700)
            .create(&dir)
            .map_err(|error| Failure::Because(format!("{}: {error}", dir.display())))?;
        Ok(Self {
            dir: std::path::absolute(dir)?,
            temporary,
        })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.temporary {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

/// A loopback port that is free now.
pub(super) fn free_port() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// The demo's configuration, written into the state directory and read from there.
pub(super) fn configuration(
    dir: &Path,
    front: SocketAddr,
    hop: SocketAddr,
) -> Result<Loaded, Failure> {
    let web = free_port()?;
    let text = format!(
        include_str!("posthouse.toml"),
        front = front,
        hop = hop,
        web = web
    );
    let file = dir.join("posthouse.toml");
    std::fs::write(&file, &text)?;
    Ok(config::parse(&file, text)?)
}

/// The demo asks nobody: no name has any record.
pub(super) struct NoDns;

#[async_trait]
impl Resolver for NoDns {
    async fn mx(&self, _: &Domain) -> Result<Vec<Mx>, LookupError> {
        Err(LookupError::NotFound)
    }

    async fn addresses(&self, _: &Domain) -> Result<Vec<IpAddr>, LookupError> {
        Err(LookupError::NotFound)
    }

    async fn txt(&self, _: &Domain) -> Result<Vec<Vec<u8>>, LookupError> {
        Err(LookupError::NotFound)
    }

    async fn names(&self, _: IpAddr) -> Result<Vec<Domain>, LookupError> {
        Err(LookupError::NotFound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_is_there_already_is_not_taken() {
        let first = Scratch::new(None).ok().expect("made");
        assert!(Scratch::new(None).is_err());
        let dir = first.dir.clone();
        drop(first);
        assert!(!dir.exists());
    }

    #[test]
    fn the_configuration_is_sound() {
        let dir = tempfile::tempdir().expect("a directory");
        let front = free_port().expect("a port");
        let loaded = configuration(dir.path(), front, front).ok().expect("valid");
        assert_eq!(loaded.config.listener[0].address, [front]);
    }
}
