//! Over TLS: only certificates that the named authority signed, whatever the environment says.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use twotap::aws::{Aws, AwsError, ConfigError, Endpoints};

use crate::emulator::python;
use crate::wire::key;

/// An authority, a certificate of its for 127.0.0.1, and a server that shows it; prints the port.
const SERVER: &str = r#"
import ctypes, datetime, http.server, ipaddress, signal, ssl, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
folder = sys.argv[1]
def certificate(name, key, issuer, signer, ca):
    now = datetime.datetime.now(datetime.timezone.utc)
    named = lambda text: x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])
    builder = (x509.CertificateBuilder().subject_name(named(name)).issuer_name(named(issuer))
        .public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True))
    if not ca:
        host = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        builder = builder.add_extension(x509.SubjectAlternativeName([host]), critical=False)
    return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
ca, leaf = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
pem = leaf.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
open(folder + "/leaf.pem", "wb").write(pem + certificate("leaf", leaf, "authority", ca, False))
broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
open(folder + "/ca.pem", "wb").write(broken + certificate("authority", ca, "authority", ca, True))
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        body = b"<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/x</Arn><UserId>AIDA</UserId><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(folder + "/leaf.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
"#;

/// A server with its authority's file; gone when dropped.
pub(crate) struct Authority {
    child: Child,
    port: u16,
    pub(crate) file: PathBuf,
    _folder: tempfile::TempDir,
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn authority() -> Authority {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(python())
        .args(["-c", SERVER])
        .arg(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    Authority {
        port: line.trim().parse().unwrap(),
        child,
        file: folder.path().join("ca.pem"),
        _folder: folder,
    }
}

fn aws(port: u16, ca_file: Option<PathBuf>) -> Result<Aws, AwsError> {
    Aws::new(Endpoints {
        override_url: Some(format!("https://127.0.0.1:{port}")),
        ca_file,
        ..Endpoints::commercial(["eu-west-1"])
    })
}

#[tokio::test]
async fn only_the_named_authority_is_trusted() {
    let ours = authority();
    let theirs = authority();
    let aws_ours = aws(ours.port, Some(ours.file.clone())).unwrap();
    aws_ours.caller_identity(&key()).await.unwrap();

    // A certificate of somebody else's authority: refused in the handshake, so nothing was sent.
    let aws_theirs = aws(theirs.port, Some(ours.file.clone())).unwrap();
    let error = aws_theirs
        .create_access_key(&key(), "x")
        .await
        .err()
        .unwrap();
    assert!(
        matches!(&error, AwsError::Unreachable { why, .. } if why.contains("certificate")),
        "{error}"
    );
}

/// Run by the test below, in a process with another environment.
#[tokio::test]
#[ignore = "the body of a child process that another test starts"]
async fn child() {
    let of = |name| std::env::var(name).expect("only a test of this file starts this one");
    let port = of("TWOTAP_TEST_TLS_PORT").parse().unwrap();
    let aws = aws(port, Some(of("TWOTAP_TEST_TLS_ROOTS").into())).unwrap();
    match aws.caller_identity(&key()).await {
        Ok(_) => println!("it answered"),
        Err(error) => println!("refused: {error}"),
    }
}

#[tokio::test]
async fn the_environment_adds_no_authority() {
    let ours = authority();
    let theirs = authority();
    let run = async |roots: &Authority| {
        crate::ambient::run_test(
            "tls::child",
            &[
                ("TWOTAP_TEST_TLS_PORT", theirs.port.to_string().as_str()),
                ("TWOTAP_TEST_TLS_ROOTS", roots.file.to_str().unwrap()),
                ("SSL_CERT_FILE", theirs.file.to_str().unwrap()),
                ("AWS_CA_BUNDLE", theirs.file.to_str().unwrap()),
            ],
        )
        .await
    };
    assert!(run(&theirs).await.contains("it answered"));
    let printed = run(&ours).await;
    assert!(
        printed.contains("refused: ") && printed.contains("certificate"),
        "{printed}"
    );
}

#[test]
fn roots_that_are_missing_or_empty_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("roots.pem");
    assert_eq!(
        aws(1, Some(path.clone())).unwrap_err(),
        AwsError::Config(ConfigError::NoRoots {
            tried: vec![path.clone()]
        })
    );
    for text in [
        "",
        "no certificate",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        std::fs::write(&path, text).unwrap();
        assert_eq!(
            aws(1, Some(path.clone())).unwrap_err(),
            AwsError::Config(ConfigError::EmptyRoots(path.clone()))
        );
    }
}
