//! The proxy between this machine and a server, as the environment names it (on macOS and Windows the system's settings
//! too).

use std::ffi::OsString;

use http::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};

use crate::base_url::BaseUrl;
use crate::error::ConfigError;

/// A proxy through which a server is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Its host and port, without the user and password that it may want.
    pub host: String,
    /// Where it is named: a variable, or the system's settings.
    pub named_by: &'static str,
    /// Whether a user and a password for it are named.
    pub signs_in: bool,
}

const HTTPS: &[&str] = &["HTTPS_PROXY", "https_proxy"];
const HTTP: &[&str] = &["HTTP_PROXY", "http_proxy"];
const ALL: &[&str] = &["ALL_PROXY", "all_proxy"];
const NONE: &[&str] = &["NO_PROXY", "no_proxy"];

impl Proxy {
    /// The proxy through which this server is asked, if it is.
    ///
    /// # Errors
    /// [`ConfigError::Proxy`] if one is named that cannot be used: without it nothing is asked.
    pub fn to(server: &BaseUrl) -> Result<Option<Self>, ConfigError> {
        let Ok(uri) = server.as_str().parse::<Uri>() else { return Ok(None) };
        if server.is_loopback() {
            return Ok(None);
        }
        let named = named(&uri, |name| std::env::var_os(name))?;
        let taken = match &named {
            Some(Named { trimmed: Some(url), .. }) => Matcher::builder().all(url.as_str()).build().intercept(&uri),
            _ => Matcher::from_system().intercept(&uri),
        };
        let named_by = named.map_or("the system's settings", |named| named.variable);
        Ok(taken.and_then(|proxy| Self::at(&proxy, named_by)))
    }

    /// The URL of the proxy to a server where it stands between spaces, which who connects would not take away.
    pub(crate) fn trimmed(server: &BaseUrl) -> Option<String> {
        let uri = server.as_str().parse::<Uri>().ok().filter(|_| !server.is_loopback())?;
        named(&uri, |name| std::env::var_os(name)).ok()??.trimmed
    }

    fn at(proxy: &Intercept, named_by: &'static str) -> Option<Self> {
        let uri = proxy.uri();
        let port = uri.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
        let signs_in = proxy.basic_auth().is_some();
        Some(Self { host: format!("{}{port}", uri.host()?), named_by, signs_in })
    }
}

/// Where the proxy to a server is named.
struct Named {
    variable: &'static str,
    /// Its value without the spaces around it, if there are any.
    trimmed: Option<String>,
}

/// The variable that names the proxy to a server. One whose value cannot be used would be passed over in silence by who
/// connects, and the server asked without a proxy.
fn named(server: &Uri, environment: impl Fn(&str) -> Option<OsString>) -> Result<Option<Named>, ConfigError> {
    // Of two spellings the first that is there counts, be it empty.
    let first = |names: &'static [&'static str]| names.iter().find_map(|&name| Some((name, environment(name)?)));
    let own = if server.scheme_str() == Some("https") { HTTPS } else { HTTP };
    let set = |names| first(names).filter(|(_, value)| !value.is_empty());
    let Some((variable, value)) = set(own).or_else(|| set(ALL)) else { return Ok(None) };
    let unlisted = first(NONE).map(|(_, value)| value.to_string_lossy().into_owned()).unwrap_or_default();
    if Matcher::builder().all("http://proxy.invalid").no(unlisted).build().intercept(server).is_none() {
        return Ok(None);
    }
    let wrong = |reason| ConfigError::Proxy { variable, reason };
    let value = value.to_str().ok_or(wrong("it is not UTF-8"))?;
    let url = value.trim();
    let proxy = Matcher::builder().all(url).build().intercept(server);
    let proxy = proxy.ok_or(wrong("it is not the URL of a proxy"))?;
    match proxy.uri().scheme_str() {
        Some("http" | "https") => Ok(Some(Named { variable, trimmed: (url != value).then(|| url.to_owned()) })),
        _ => Err(wrong("SOCKS is not spoken here")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(server: &'static str, variables: &[(&str, &str)]) -> Result<Option<&'static str>, String> {
        let value = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| OsString::from(value));
        let named = named(&Uri::from_static(server), value).map_err(|error| error.to_string())?;
        Ok(named.map(|named| named.variable))
    }

    const SERVER: &str = "https://medplum.test/";

    #[test]
    fn the_variable_of_the_scheme_comes_first() {
        let both =
            [("HTTPS_PROXY", "http://u:p@p.test:1"), ("HTTP_PROXY", "q.test:2"), ("ALL_PROXY", "socks5://x.test")];
        assert_eq!(to(SERVER, &both), Ok(Some("HTTPS_PROXY")));
        assert_eq!(to("http://medplum.test/", &both), Ok(Some("HTTP_PROXY")));
        assert_eq!(to(SERVER, &[("HTTP_PROXY", "p.test:1")]), Ok(None));
        assert_eq!(to(SERVER, &[("HTTPS_PROXY", ""), ("all_proxy", "p.test:1")]), Ok(Some("all_proxy")));
        assert_eq!(to(SERVER, &[("HTTPS_PROXY", " http://p.test:1 ")]), Ok(Some("HTTPS_PROXY")));
        assert_eq!(to(SERVER, &[]), Ok(None));
    }

    #[test]
    fn one_that_cannot_be_used_is_told_and_never_passed_over() {
        let example = "An example: http://proxy.example:3128. A server that needs no proxy is named in NO_PROXY";
        for broken in ["http://[bad", "::::", "ftp://p.test", "http://", "p test:1"] {
            let said = format!("HTTPS_PROXY cannot be used: it is not the URL of a proxy. {example}");
            assert_eq!(to(SERVER, &[("HTTPS_PROXY", broken), ("ALL_PROXY", "p.test:1")]), Err(said), "{broken}");
        }
        for socks in ["socks5://u:secret@p.test:1", "socks4a://p.test", "socks5h://p.test"] {
            let said = format!("ALL_PROXY cannot be used: SOCKS is not spoken here. {example}");
            assert_eq!(to(SERVER, &[("ALL_PROXY", socks)]), Err(said));
        }
        // Where it is not asked through, it is nobody's trouble.
        for no in ["medplum.test", ".test", "*"] {
            assert_eq!(to(SERVER, &[("HTTPS_PROXY", "::::"), ("NO_PROXY", no)]), Ok(None));
        }
    }

    #[test]
    fn its_user_and_password_are_not_shown() {
        for spelled in ["http://us:pw@p.test:1", "us:pw@p.test:1", "http://us:p@w@p.test:1"] {
            let proxy = Matcher::builder().all(spelled).build().intercept(&Uri::from_static(SERVER)).unwrap();
            assert_eq!(Proxy::at(&proxy, "ALL_PROXY").unwrap().host, "p.test:1", "{spelled}");
        }
    }
}
