//! What an operator does where there is no connection to Medplum.

use medplum_client::{NoConnection, Proxy};

/// What to look at, or to do.
pub(crate) fn remedy(why: NoConnection, proxy: Option<&Proxy>) -> String {
    let own = |text: &str| text.to_owned();
    let signs_in = proxy.is_some_and(|proxy| proxy.signs_in);
    match (why, proxy.map(|proxy| proxy.named_by)) {
        (NoConnection::ProxyPassword, Some(by)) if signs_in => {
            format!("{by} names the proxy: the user name and password in its URL are not those that it takes")
        }
        (NoConnection::ProxyPassword, Some(by)) => {
            format!("{by} names the proxy: both stand in its URL, in front of the host")
        }
        (NoConnection::ProxyRefused, Some(by)) => format!(
            "{by} names the proxy: its operator allows the host of MEDPLUM_BASE_URL, or NO_PROXY names that host if it needs no proxy"
        ),
        (why, Some(by)) if why.is_of_the_proxy() || why == NoConnection::TimedOut => format!(
            "{by} names the proxy: is it right, and does the proxy run? NO_PROXY names the hosts that need none"
        ),
        (NoConnection::Refused, _) => {
            own("Nothing listens there: is the server running, and is the port in MEDPLUM_BASE_URL right?")
        }
        (NoConnection::UnknownName, _) => own("Is the name in MEDPLUM_BASE_URL right, and is this machine online?"),
        (NoConnection::TimedOut, _) => own("A firewall or a missing VPN? Behind a proxy, set HTTPS_PROXY"),
        (NoConnection::UnknownIssuer, _) => own(
            "Install the root certificate of its issuer in this machine's system: your organisation's, where the server has a certificate of yours or a proxy looks into what it passes on",
        ),
        (NoConnection::OtherName, _) => own("MEDPLUM_BASE_URL takes a name that the certificate is for"),
        (NoConnection::Expired, _) => own("Whoever runs the server renews it; or is this machine's clock wrong?"),
        (NoConnection::NotYetValid, _) => own("Is this machine's clock right?"),
        (NoConnection::BadCertificate, _) => own(
            "Whoever runs the server replaces it: it is broken, revoked, or none of a server, as a self-signed one that is a CA itself",
        ),
        (NoConnection::NoTls, _) => {
            own("Is the port in MEDPLUM_BASE_URL that of https? A server on this machine may be asked over http://")
        }
        (NoConnection::Tls, _) => own("The server must speak TLS 1.2 or 1.3 and ask for no certificate of its clients"),
        _ => own("Is MEDPLUM_BASE_URL right, and is nothing between this machine and the server?"),
    }
}
