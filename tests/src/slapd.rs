//! OpenLDAP's slapd with a directory as sendmail's users have it: classes of domains, and mailboxes with
//! their addresses. Plain, StartTLS and TLS, and a Unix socket.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::proc::{Proc, require, run};
use crate::{dir, ports};

/// How long slapd may take to listen, on a busy machine.
const START: Duration = Duration::from_secs(30);
/// As whom clients bind; nobody else may read.
pub const BIND_DN: &str = "cn=postmaster,ou=sendmail,dc=mail";
/// Its password.
pub const PASSWORD: &str = "s3cret";

/// The attribute types and classes that the filters need, with sendmail's names for them.
const SENDMAIL: &str = "
attributetype ( 1.3.6.1.4.1.6152.10.3.1.10 NAME 'sendmailMTAHost'
  EQUALITY caseIgnoreIA5Match SYNTAX 1.3.6.1.4.1.1466.115.121.1.26 )
attributetype ( 1.3.6.1.4.1.6152.10.3.1.22 NAME 'sendmailMTAClassName'
  EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.6152.10.3.1.23 NAME 'sendmailMTAClassValue'
  EQUALITY caseIgnoreIA5Match SYNTAX 1.3.6.1.4.1.1466.115.121.1.26 )
objectclass ( 1.3.6.1.4.1.6152.10.3.2.10 NAME 'sendmailMTA'
  SUP top STRUCTURAL MAY ( sendmailMTAHost ) )
objectclass ( 1.3.6.1.4.1.6152.10.3.2.22 NAME 'sendmailMTAClass'
  SUP sendmailMTA STRUCTURAL MUST ( sendmailMTAClassName $ sendmailMTAClassValue ) )
";

/// Two domains, two mailboxes; one address has what a filter could be broken with.
const ENTRIES: &str = "
dn: dc=mail
objectClass: dcObject
objectClass: organization
dc: mail
o: mail

dn: ou=sendmail,dc=mail
objectClass: organizationalUnit
ou: sendmail

dn: cn=postmaster,ou=sendmail,dc=mail
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: postmaster
userPassword: s3cret

dn: sendmailMTAClassName=w,ou=sendmail,dc=mail
objectClass: sendmailMTAClass
sendmailMTAClassName: w
sendmailMTAClassValue: ours.test
sendmailMTAClassValue: second.test

dn: uid=ann,ou=sendmail,dc=mail
objectClass: inetOrgPerson
objectClass: inetLocalMailRecipient
uid: ann
cn: Ann
sn: A
mailLocalAddress: ann@ours.test
mailLocalAddress: a*b@second.test

dn: uid=twin,ou=sendmail,dc=mail
objectClass: inetOrgPerson
objectClass: inetLocalMailRecipient
uid: twin
cn: Twin
sn: T
mailLocalAddress: ann@ours.test
";

/// A running slapd; it ends when dropped.
pub struct Slapd {
    proc: Proc,
    addr: SocketAddr,
    tls: SocketAddr,
    dir: TempDir,
}

impl Slapd {
    /// Starts one with its directory filled.
    pub fn start() -> Self {
        let dir = dir::scratch("slapd");
        let config = configure(dir.path());
        let entries = dir::write(&dir.path().join("entries.ldif"), ENTRIES);
        let mut add = Command::new(require("slapadd", "slapd"));
        run(add.arg("-q").arg("-f").arg(config).arg("-l").arg(entries));
        let (addr, tls) = (ports::free_addr(), ports::free_addr());
        let proc = serve(dir.path(), addr, tls);
        Self {
            proc,
            addr,
            tls,
            dir,
        }
    }

    /// Ends it, and starts it again at the same places.
    pub fn restart(&mut self) {
        self.proc.kill();
        self.proc = serve(self.dir.path(), self.addr, self.tls);
    }

    /// Where it answers in plain text and to StartTLS.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where it answers inside TLS.
    pub fn tls(&self) -> SocketAddr {
        self.tls
    }

    /// Its Unix socket.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("ldapi")
    }

    /// The certificate that it shows, for `127.0.0.1`, as a file in PEM.
    pub fn certificate(&self) -> PathBuf {
        self.dir.path().join("cert.pem")
    }

    /// Makes it hang: it still takes connections, and answers none.
    pub fn freeze(&self) {
        self.proc.signal_group(Signal::STOP);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.proc.signal_group(Signal::CONT);
    }
}

impl Drop for Slapd {
    /// A frozen process cannot end in peace.
    fn drop(&mut self) {
        self.proc.kill();
    }
}

fn serve(dir: &Path, addr: SocketAddr, tls: SocketAddr) -> Proc {
    let mut command = Command::new(require("slapd", "slapd"));
    let socket = dir.join("ldapi").display().to_string().replace('/', "%2F");
    command
        .args(["-d", "stats", "-f"])
        .arg(dir.join("slapd.conf"))
        .arg("-h")
        .arg(format!("ldap://{addr} ldaps://{tls} ldapi://{socket}"));
    let proc = Proc::spawn("slapd", &mut command, &dir.join("log"));
    proc.wait_until("ready", START, || {
        ports::is_open(addr) && ports::is_open(tls)
    });
    proc
}

/// Writes the configuration, schema and certificate; returns the path of the first.
fn configure(dir: &Path) -> PathBuf {
    let data = dir::subdir(dir, "data");
    let schema = dir::write(&dir.join("sendmail.schema"), SENDMAIL);
    let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]);
    let certified = certified.expect("a certificate");
    dir::write(&dir.join("cert.pem"), &certified.cert.pem());
    dir::write(&dir.join("key.pem"), &certified.signing_key.serialize_pem());
    let (here, data, schema) = (dir.display(), data.display(), schema.display());
    let text = format!(
        "include /etc/ldap/schema/core.schema\n\
         include /etc/ldap/schema/cosine.schema\n\
         include /etc/ldap/schema/inetorgperson.schema\n\
         include /etc/ldap/schema/misc.schema\n\
         include {schema}\n\
         pidfile {here}/pid\n\
         modulepath /usr/lib/ldap\n\
         moduleload back_mdb\n\
         TLSCertificateFile {here}/cert.pem\n\
         TLSCertificateKeyFile {here}/key.pem\n\
         database mdb\n\
         maxsize 16777216\n\
         suffix \"dc=mail\"\n\
         directory {data}\n\
         index mailLocalAddress,sendmailMTAClassValue eq\n\
         access to attrs=userPassword by anonymous auth by * none\n\
         access to * by dn.exact=\"{BIND_DN}\" read by * none\n"
    );
    dir::write(&dir.join("slapd.conf"), &text)
}
