//! A connection to an LDAP server: TCP or a Unix socket, TLS where it is asked for, the library behind
//! the door of [`super::wire`], and the bind.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, StdStream};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use super::wire;

/// Where the server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Server {
    /// `host:port`, and the host.
    Tcp(String, String),
    Unix(PathBuf),
}

/// Whether the connection is secured, and from when.
#[derive(Clone)]
pub(super) enum Secured {
    No,
    /// `ldaps`.
    AtOnce(TlsConnector),
    /// StartTLS.
    WhenAsked(TlsConnector),
}

/// As whom we bind. Its password is never printed.
#[derive(Clone)]
pub(super) struct Login {
    pub(super) dn: String,
    pub(super) password: String,
}

/// How connections are made.
pub(super) struct Opener {
    pub(super) server: Server,
    pub(super) secured: Secured,
    pub(super) login: Option<Login>,
}

/// A connection that can be asked. It ends when dropped.
pub(super) struct Connection {
    pub(super) ldap: Ldap,
    /// Why the server cannot be heard any more.
    lost: Lost,
    tasks: JoinSet<()>,
}

type Lost = Arc<Mutex<Option<String>>>;

impl Opener {
    /// Connects and binds. The caller sets the limit of time.
    pub(super) async fn open(&self) -> Result<Connection, String> {
        let mut connection = match &self.server {
            Server::Unix(path) => {
                let stream = UnixStream::connect(path).await;
                behind_the_door(stream.map_err(|error| error.to_string())?).await?
            }
            Server::Tcp(address, host) => {
                let stream = TcpStream::connect(address).await;
                let stream = stream.map_err(|error| error.to_string())?;
                stream
                    .set_nodelay(true)
                    .map_err(|error| error.to_string())?;
                self.secure(stream, host).await?
            }
        };
        if let Some(Login { dn, password }) = &self.login {
            let bound = connection.ldap.simple_bind(dn, password).await;
            let bound = bound.map_err(|error| connection.why(&error))?;
            bound.success().map_err(|error| format!("bind: {error}"))?;
        }
        Ok(connection)
    }

    async fn secure(&self, mut stream: TcpStream, host: &str) -> Result<Connection, String> {
        let connector = match &self.secured {
            Secured::No => return behind_the_door(stream).await,
            Secured::AtOnce(connector) => connector,
            Secured::WhenAsked(connector) => {
                wire::start_tls(&mut stream).await?;
                connector
            }
        };
        let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
        let stream = connector.connect(name, stream).await;
        behind_the_door(stream.map_err(|error| format!("TLS: {error}"))?).await
    }
}

/// Gives the library one end of a pair of sockets and carries between the other and the server.
async fn behind_the_door(
    server: impl AsyncRead + AsyncWrite + Send + 'static,
) -> Result<Connection, String> {
    let said = |error: std::io::Error| error.to_string();
    let (ours, library) = UnixStream::pair().map_err(said)?;
    let library = StdStream::Unix(library.into_std().map_err(said)?);
    let settings = LdapConnSettings::new().set_std_stream(library);
    // The library wants a URL, and does not look at it when it is given a stream.
    let opened = LdapConnAsync::with_settings(settings, "ldapi://given").await;
    let (driver, ldap) = opened.map_err(|error| error.to_string())?;
    let lost = Lost::default();
    let told = Arc::clone(&lost);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let why = wire::carry(server, ours).await;
        *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    });
    // It panics at answers that it does not expect: that ends this task, and the questions with it.
    tasks.spawn(async move {
        let _ = driver.drive().await;
    });
    Ok(Connection { ldap, lost, tasks })
}

impl Connection {
    /// Whether it can still be asked.
    pub(super) fn is_alive(&mut self) -> bool {
        self.tasks.try_join_next().is_none()
    }

    /// Why a question failed: what the server did, or the library's words.
    pub(super) fn why(&self, error: &dyn std::fmt::Display) -> String {
        let lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        lost.clone().unwrap_or_else(|| error.to_string())
    }
}

/// Verifies servers by the system's roots and those of a file.
pub(super) fn connector(ca_file: Option<&Path>) -> Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = ca_file {
        let told = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let read =
            CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let read = read.map_err(|error| told(&error))?;
        if read.is_empty() {
            return Err(told(&"no certificate in PEM"));
        }
        for certificate in read {
            roots.add(certificate).map_err(|error| told(&error))?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| error.to_string())?;
    let config = config.with_root_certificates(roots).with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
