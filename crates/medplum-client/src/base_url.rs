//! Where Medplum is: the server's base and the FHIR base behind it.

use std::fmt;

use url::{Host, Url};

use crate::error::ConfigError;

/// The base URL of a Medplum server, normalised: lower-case host, exactly one slash at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(Url);

/// The path of the FHIR base below the server's: `fhir/R4/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FhirPath(String);

impl BaseUrl {
    /// Takes a base URL. It must be https; http is taken for this machine alone, or where `allow_insecure` is set.
    ///
    /// # Errors
    /// [`ConfigError::BaseUrl`] with the reason.
    pub fn parse(text: &str, allow_insecure: bool) -> Result<Self, ConfigError> {
        let wrong = |reason| ConfigError::BaseUrl { reason };
        let text = text.trim();
        if !text.contains("://") {
            // `localhost:8103` is a URL too, of a scheme of that name.
            return Err(wrong("it does not begin with https://, or with http:// for a server on this machine"));
        }
        let mut url = Url::parse(text).map_err(|_| wrong("it is not a URL"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("it holds a user name or password"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("it has a query or fragment"));
        }
        if url.host().is_none() {
            return Err(wrong("it names no host"));
        }
        match url.scheme() {
            "https" => {}
            "http" if allow_insecure || is_loopback(&url) => {}
            "http" => return Err(wrong("it is not https, so tokens and records would travel in the clear")),
            _ => return Err(wrong("it is not https")),
        }
        let path = format!("{}/", url.path().trim_end_matches('/'));
        url.set_path(&path);
        Ok(Self(url))
    }

    /// The URL of a path below it and a base there, which are encoded already, with an encoded query.
    pub(crate) fn below(&self, base: &str, path: &str, query: &str) -> Url {
        let mut url = self.0.clone();
        url.set_path(&[self.0.path(), base, path].concat());
        if !query.is_empty() {
            url.set_query(Some(query));
        }
        url
    }

    /// Whether it ends with the path of a FHIR base, which goes behind it.
    pub fn ends_with(&self, fhir: &FhirPath) -> bool {
        self.0.path().ends_with(&format!("/{}", fhir.as_str()))
    }

    /// The URL with its slash at the end.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether the server is this machine.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.0)
    }

    /// Whether records and tokens travel in the clear beyond this machine.
    pub fn is_insecure(&self) -> bool {
        self.0.scheme() == "http" && !self.is_loopback()
    }

    pub(crate) fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The path of a URL behind this base, with its query, if the URL has this origin and lies below it.
    pub(crate) fn relative(&self, url: &str) -> Option<String> {
        let url = Url::parse(url).ok()?;
        if url.origin() != self.0.origin() || !url.username().is_empty() || url.password().is_some() {
            return None;
        }
        let path = url.path().strip_prefix(self.0.path())?;
        Some(url.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}")))
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            name == "localhost" || name.ends_with(".localhost")
        }
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

impl FhirPath {
    /// Takes a relative path such as `fhir/R4`, with or without slashes around it.
    ///
    /// # Errors
    /// [`ConfigError::FhirPath`] if it holds anything but plain segments.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let path = text.trim().trim_matches('/');
        let plain = |segment: &str| {
            !segment.is_empty()
                && segment != "."
                && segment != ".."
                && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
        };
        if path.split('/').all(plain) { Ok(Self(format!("{path}/"))) } else { Err(ConfigError::FhirPath) }
    }

    /// The path with its slash at the end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|segment| !segment.is_empty())
    }
}

impl Default for FhirPath {
    fn default() -> Self {
        Self("fhir/R4/".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bases_are_normalised() {
        for given in ["https://API.Medplum.com", "https://api.medplum.com/", " https://api.medplum.com// "] {
            assert_eq!(BaseUrl::parse(given, false).unwrap().as_str(), "https://api.medplum.com/");
        }
        assert_eq!(
            BaseUrl::parse("https://h.example:8443/medplum", false).unwrap().as_str(),
            "https://h.example:8443/medplum/"
        );
        for given in ["fhir/R4", "/fhir/R4/", "fhir/R4/"] {
            assert_eq!(FhirPath::parse(given).unwrap().as_str(), "fhir/R4/");
        }
        for bad in ["", "/", "fhir//R4", "../R4", "fhir/R4?x", "https://x/fhir"] {
            assert!(FhirPath::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn http_is_for_this_machine() {
        for good in ["http://localhost:8103", "http://localhost.", "http://127.0.0.1:8103/", "http://[::1]:8103"] {
            assert!(BaseUrl::parse(good, false).is_ok(), "{good}");
        }
        for bad in [
            "http://api.medplum.com",
            "ftp://x.example",
            "api.medplum.com",
            "https://u:p@x.example",
            "https://x.example/?a",
            "http://127.0.0.1.evil.example",
        ] {
            assert!(BaseUrl::parse(bad, false).is_err(), "{bad}");
        }
        assert!(BaseUrl::parse("http://medplum.test", true).unwrap().is_insecure());
    }

    #[test]
    fn a_url_without_its_scheme_says_so() {
        for given in ["localhost:8103", "api.medplum.com", "localhost", "h.example/fhir"] {
            let error = BaseUrl::parse(given, false).unwrap_err().to_string();
            assert!(error.contains("does not begin with https://, or with http://"), "{given}: {error}");
        }
    }

    #[test]
    fn only_the_same_origin_is_below_the_base() {
        let base = BaseUrl::parse("https://api.medplum.com/", false).unwrap();
        assert_eq!(
            base.relative("https://api.medplum.com/fhir/R4/Patient?_offset=20").as_deref(),
            Some("fhir/R4/Patient?_offset=20")
        );
        for bad in [
            "https://evil.example/fhir/R4/Patient",
            "http://api.medplum.com/fhir",
            "https://api.medplum.com:444/x",
            "https://x@api.medplum.com/x",
            "/fhir/R4",
            "javascript:1",
        ] {
            assert_eq!(base.relative(bad), None, "{bad}");
        }
    }
}
