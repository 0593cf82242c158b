//! Other words for our arguments, as agents know them from other tools: data.

/// Which of the arguments that a tool has is meant by another word, if one is.
pub(super) fn meant<'a>(word: &str, has: &[&'a str]) -> Option<&'a str> {
    let word: String = word.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    let rows = MEANT.iter().filter(|(words, _)| words.split(' ').any(|known| known == word));
    rows.flat_map(|(_, arguments)| arguments.split(' '))
        .find_map(|argument| has.iter().copied().find(|h| *h == argument))
}

/// Whether a word is another's for what shapes an answer: then it is no search parameter, whatever it looks like.
pub(super) fn shapes(word: &str) -> bool {
    // `max_codes` is a bound of something, and no `code`.
    let is_bound =
        ["max", "min", "limit", "top"].contains(&word.split(|c: char| !c.is_ascii_lowercase()).next().unwrap_or(word));
    is_bound || meant(word, SHAPES).is_some() || SHAPES.iter().any(|shape| *shape == word.trim_start_matches('_'))
}

const SHAPES: &[&str] =
    &["count", "max_resources", "offset", "cursor", "sort", "fields", "sql", "budget", "count_only"];

/// Words in small letters without separators; and the arguments that they may mean, the first that there is.
const MEANT: &[(&str, &str)] = &[
    (
        "limit max maxresults maxcount maxresource maxresources n top take first pagesize perpage size count results rows maxrows maxrecords maxentries",
        "count max_resources",
    ),
    ("skip startindex", "offset"),
    ("pagetoken nexttoken next nextcursor token", "cursor"),
    ("order orderby sortby sorting", "sort"),
    ("sqlquery statement select querystring query q", "sql"),
    ("graphql gql document", "query"),
    (
        "filter filters where search searchparams searchparameters searchparameter criteria parameters query q querystring",
        "params",
    ),
    ("filter search text word words query q term", "filter"),
    ("query queryparameters params parameters args", "query_params"),
    ("condition conditions ifnotexists ifnotexist search query params criteria identifier", "if_none_exist"),
    ("columns column elements element properties select project projection attributes", "fields"),
    ("fields field element properties", "elements"),
    ("id uid uuid reference ref", "resource_id"),
    ("id patient resourceid subject subjectid uuid reference ref", "patient_id"),
    ("id bot resourceid", "bot_id"),
    ("type resource fhirtype table", "resource_type"),
    ("type resourcetype resourcetypes include only", "types"),
    ("section include only types", "sections"),
    ("from startdate begin after date datefrom fromdate", "start"),
    ("to until enddate before dateto todate", "end"),
    ("lastupdated updatedsince modifiedsince", "since"),
    ("join joins tables with searches", "also"),
    ("patch patches ops operation changes body", "operations"),
    ("version ifmatch etag versionid", "version_id"),
    ("body data payload json content fhir patient", "resource"),
    ("body data payload json content resource entries", "bundle"),
    ("input data payload body params parameters", "input_data"),
    ("data payload resource json", "body"),
    ("force replace", "overwrite"),
    ("force confirm", "confirm_references"),
    ("force partial incomplete", "allow_partial"),
    ("url endpoint uri route", "path"),
    ("verb httpmethod", "method"),
    ("name operationname op", "operation"),
    ("url valueset uri canonical system", "valueset_url"),
    ("id valuesetid", "valueset_id"),
    ("url system codesystem uri canonical", "codesystem_url"),
    ("url codesystem codesystemurl uri", "system"),
    ("url conceptmap map uri", "conceptmap_url"),
    ("target to targetcodesystem", "target_system"),
    ("language lang", "display_language"),
    ("source code typescript", "source_code"),
    ("compiled javascript js", "compiled_code"),
    ("runtime", "runtime_version"),
    ("mime mimetype mediatype", "content_type"),
    ("countonly onlycount justcount", "count_only"),
    ("maxchars maxcharacters maxtokens tokens", "budget"),
    ("nested deep depth", "include_nested"),
    ("vars arguments params", "variables"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_shapes_an_answer_is_no_filter() {
        for word in ["count", "_count", "limit", "maxResults", "order_by", "columns", "statement"] {
            assert!(shapes(word), "{word}");
        }
        for word in ["subject", "first_name", "date", "address", "country"] {
            assert!(!shapes(word), "{word}");
        }
    }

    #[test]
    fn a_word_means_what_the_tool_has() {
        for (word, has, argument) in [
            ("limit", ["resource_type", "count"], Some("count")),
            ("max_results", ["resource_type", "max_resources"], Some("max_resources")),
            ("maxResults", ["resource_type", "max_resources"], Some("max_resources")),
            ("count", ["max_resources", "sql"], Some("max_resources")),
            ("query", ["sql", "params"], Some("sql")),
            ("query", ["sort", "params"], Some("params")),
            ("id", ["resource_type", "resource_id"], Some("resource_id")),
            ("url", ["valueset_id", "valueset_url"], Some("valueset_url")),
            // Where there is nothing of the kind, nothing is advised.
            ("limit", ["resource_type", "sort"], None),
            ("zebra", ["resource_type", "count"], None),
        ] {
            assert_eq!(meant(word, &has), argument, "{word}");
        }
    }
}
