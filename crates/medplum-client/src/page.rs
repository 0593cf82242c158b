//! Following the pages of a search.

use crate::base_url::{BaseUrl, FhirPath};
use crate::error::Error;
use crate::interaction::Interaction;
use crate::invalid::InvalidRequest;
use crate::query::Query;
use crate::request::Method;

/// The search for the page that a link leads to; none where there is no link.
///
/// The server gives an absolute URL. It is followed only on the same origin, and as the interaction that it is: it
/// passes the gate like any other.
///
/// # Errors
/// [`Error::Invalid`] if the link leads elsewhere.
pub fn next_page(link: Option<&str>, base: &BaseUrl, fhir_path: &FhirPath) -> Result<Option<Interaction>, Error> {
    let Some(url) = link else { return Ok(None) };
    let elsewhere = || {
        Error::Invalid(InvalidRequest::Path("the link to the next page leads to another server, and is not followed"))
    };
    let path = base.relative(url).ok_or_else(elsewhere)?;
    let interaction = Interaction::from_path(fhir_path, Method::Get, &path, Query::new(), None)?;
    match interaction {
        Interaction::Search(_) | Interaction::History { .. } => Ok(Some(interaction)),
        _ => Err(elsewhere()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(url: &str) -> Result<Option<Interaction>, Error> {
        let base = BaseUrl::parse("https://api.medplum.com/", false).unwrap();
        next_page(Some(url), &base, &FhirPath::default())
    }

    #[test]
    fn a_next_link_is_followed_on_the_same_origin_alone() {
        let page = next("https://api.medplum.com/fhir/R4/Patient?_count=20&_offset=20").unwrap().unwrap();
        assert_eq!(page.to_request().relative_url(), "Patient?_count=20&_offset=20");
        for bad in [
            "https://evil.example/fhir/R4/Patient",
            "https://api.medplum.com/fhir/R4/Bot/1/$execute",
            "https://api.medplum.com/auth/me",
            "Patient?_offset=2",
        ] {
            assert!(next(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_last_page_has_no_next() {
        let base = BaseUrl::parse("https://api.medplum.com/", false).unwrap();
        assert_eq!(next_page(None, &base, &FhirPath::default()), Ok(None));
    }
}
