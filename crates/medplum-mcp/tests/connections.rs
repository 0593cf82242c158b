//! Where there is no connection to Medplum: what an agent and an operator read of proxies and certificates.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs, unreachable_pub, dead_code)]

mod common;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;

use common::host::run;
use common::{PATIENT, SECRET};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;

const MEDPLUM: &str = "https://medplum.test/";
/// None of these may steer a test by accident.
const NO_PROXIES: &[(&str, &str)] = &[
    ("HTTPS_PROXY", ""),
    ("https_proxy", ""),
    ("HTTP_PROXY", ""),
    ("http_proxy", ""),
    ("ALL_PROXY", ""),
    ("all_proxy", ""),
    ("NO_PROXY", ""),
    ("no_proxy", ""),
];

fn with<'a>(base: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let signed = [("MEDPLUM_BASE_URL", base), ("MEDPLUM_CLIENT_ID", "client"), ("MEDPLUM_CLIENT_SECRET", SECRET)];
    [NO_PROXIES, &signed, more].concat()
}

/// What an agent reads of a read, and what doctor says.
fn told(base: &str, more: &[(&str, &str)]) -> (String, String) {
    let read = json!({"resource_type": "Patient", "resource_id": PATIENT}).to_string();
    let call = run(&["call", "read_resource", &read], &with(base, more), "");
    assert_eq!(call.code, Some(1), "{call:?}");
    let doctor = run(&["doctor"], &with(base, more), "");
    assert_eq!(doctor.code, Some(1), "{doctor:?}");
    for text in [&call.stderr, &doctor.stdout, &doctor.stderr] {
        assert!(!text.contains("pw-of-the-proxy") && !text.contains("us-er"), "{text}");
    }
    (call.stderr, doctor.stdout)
}

/// A proxy that answers everything with this line, on a port of this machine.
fn proxy(line: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(format!("HTTP/1.1 {line}\r\ncontent-length: 0\r\n\r\n").as_bytes());
        }
    });
    host
}

#[test]
fn a_proxy_that_lets_nothing_through_is_named_without_its_password() {
    for (line, why, attempts, remedy) in [
        (
            "407 Proxy Authentication Required",
            "it asks for a user name and password",
            "",
            "HTTPS_PROXY names the proxy: the user name and password in its URL are not those that it takes",
        ),
        (
            "502 Bad Gateway",
            "it makes no way to that server",
            ", after 3 attempts",
            "HTTPS_PROXY names the proxy: its operator allows the host of MEDPLUM_BASE_URL, or NO_PROXY names that host if it needs no proxy",
        ),
    ] {
        let host = proxy(line);
        let url = format!("http://us-er:pw-of-the-proxy@{host}");
        let (agent, operator) = told(MEDPLUM, &[("HTTPS_PROXY", &url)]);
        assert_eq!(
            agent,
            format!(
                "Medplum cannot be reached, for its proxy {host} cannot be used ({why}){attempts}. Nothing was sent. For the operator: MEDPLUM_BASE_URL is {MEDPLUM}. {remedy}.\n"
            )
        );
        assert!(operator.contains(&format!("the proxy {host} cannot be used: {why}\n")), "{operator}");
        assert!(operator.contains(&format!("→ {remedy}\n")), "{operator}");
    }
}

#[test]
fn a_proxy_that_is_not_there_is_named() {
    for (host, why) in
        [("127.0.0.1:9", "the connection was refused"), ("proxy.invalid:9", "its name cannot be resolved")]
    {
        let (agent, operator) = told(MEDPLUM, &[("ALL_PROXY", host)]);
        assert!(
            agent.starts_with(&format!("Medplum cannot be reached, for its proxy {host} cannot be used ({why})")),
            "{agent}"
        );
        assert!(agent.contains("ALL_PROXY names the proxy") && agent.contains("NO_PROXY"), "{agent}");
        assert!(operator.contains(&format!("the proxy {host} cannot be used: {why}")), "{operator}");
    }
}

/// Over http a proxy answers in Medplum's place.
#[test]
fn a_proxy_that_answers_itself_is_told_of() {
    let open = ("MEDPLUM_ALLOW_INSECURE_HTTP", "true");
    let base = "http://medplum.test/";
    let host = proxy("403 Forbidden");
    let (agent, _) = told(base, &[open, ("HTTP_PROXY", &host)]);
    assert!(agent.contains(&format!("The way leads through the proxy {host} (HTTP_PROXY).")), "{agent}");
    let host = proxy("407 Proxy Authentication Required");
    let (agent, _) = told(base, &[open, ("HTTP_PROXY", &host)]);
    assert!(agent.contains("The operator puts the user name and password that the proxy asks for"), "{agent}");
    // It is asked through one that stands between spaces too.
    let (agent, _) = told(base, &[open, ("HTTP_PROXY", &format!(" http://us-er:pw-of-the-proxy@{host} "))]);
    let said = "the user name and password in the URL of HTTP_PROXY are not those that the proxy takes";
    assert!(agent.contains(said), "{agent}");
}

/// Who connects would pass it over in silence, and ask the server without a proxy.
#[test]
fn a_proxy_that_cannot_be_used_is_an_error_at_the_start() {
    let read = json!({"resource_type": "Patient", "resource_id": PATIENT}).to_string();
    let socks = "socks5://us-er:pw-of-the-proxy@127.0.0.1:9";
    for (variable, value, reason) in [
        ("HTTPS_PROXY", "http://[bad", "it is not the URL of a proxy"),
        ("ALL_PROXY", socks, "SOCKS is not spoken here"),
    ] {
        let says = format!("{variable} cannot be used: {reason}");
        for arguments in [&[][..], &["call", "read_resource", &read]] {
            let ended = run(arguments, &with(MEDPLUM, &[(variable, value)]), "");
            let said = format!(
                "medplum-mcp: {says}. An example: http://proxy.example:3128. A server that needs no proxy is named in NO_PROXY\n"
            );
            assert_eq!((ended.code, ended.stderr), (Some(2), said));
        }
        let doctor = run(&["doctor"], &with(MEDPLUM, &[(variable, value)]), "");
        assert!(doctor.stdout.contains(&format!("fail  reach         {says}\n")), "{doctor:?}");
        assert!(doctor.stdout.contains(&format!("→ {variable}=http://proxy.example:3128, or")), "{doctor:?}");
        // Where it is not asked through, it is nobody's trouble.
        for unasked in [("NO_PROXY", "medplum.test"), ("MEDPLUM_BASE_URL", "http://localhost:9/")] {
            let ended = run(&[], &with(MEDPLUM, &[(variable, value), unasked]), "");
            assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        }
    }
}

/// A server that shows this certificate, and knows nothing.
fn server(certificate: &str) -> u16 {
    let file = |name: &str| format!("{}/tests/fixtures/tls/{name}", env!("CARGO_MANIFEST_DIR"));
    let chain = vec![CertificateDer::from_pem_file(file(certificate)).unwrap()];
    let key = PrivateKeyDer::from_pem_file(file("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut tls = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut tls = rustls::Stream::new(&mut tls, &mut stream);
            let _ = tls.read(&mut [0; 4096]);
            let _ = tls.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            tls.conn.send_close_notify();
            let _ = tls.flush();
        }
    });
    port
}

/// Linux takes the certificates to trust from a file that a variable names.
#[cfg(target_os = "linux")]
#[test]
fn a_certificate_that_is_not_taken_says_why_and_is_not_asked_for_again() {
    let authority = format!("{}/tests/fixtures/tls/ca.pem", env!("CARGO_MANIFEST_DIR"));
    let trusting = ("SSL_CERT_FILE", authority.as_str());
    for (certificate, host, more, why, remedy) in [
        (
            "valid.pem",
            "localhost",
            &[][..],
            "its certificate is from an issuer that this machine does not trust",
            "Install the root certificate of its issuer in this machine's system",
        ),
        (
            "valid.pem",
            "127.0.0.1",
            &[trusting],
            "its certificate is for another name",
            "MEDPLUM_BASE_URL takes a name that the certificate is for",
        ),
        ("expired.pem", "localhost", &[trusting], "its certificate has expired", "Whoever runs the server renews it"),
        ("early.pem", "localhost", &[trusting], "its certificate is not valid yet", "Is this machine's clock right?"),
    ] {
        let base = format!("https://{host}:{}/", server(certificate));
        let (agent, operator) = told(&base, more);
        let said = format!(
            "Medplum cannot be reached ({why}). Nothing was sent. For the operator: MEDPLUM_BASE_URL is {base}. {remedy}"
        );
        assert!(agent.starts_with(&said), "{agent}");
        assert!(operator.contains(&format!("{base} cannot be reached: {why}\n")), "{operator}");
        assert!(operator.contains(&format!("→ {remedy}")), "{operator}");
    }
    let (agent, _) = told(&format!("https://localhost:{}/", server("valid.pem")), &[trusting]);
    assert!(agent.starts_with("Signing in at oauth2/token failed: Medplum answered 404"), "{agent}");
}

#[test]
fn a_server_that_speaks_no_tls_is_told_of() {
    let base = format!("https://{}/", proxy("400 Bad Request"));
    let (agent, operator) = told(&base, &[]);
    assert!(agent.starts_with("Medplum cannot be reached (what answers there does not speak TLS). Nothing"), "{agent}");
    assert!(operator.contains("→ Is the port in MEDPLUM_BASE_URL that of https?"), "{operator}");
}
