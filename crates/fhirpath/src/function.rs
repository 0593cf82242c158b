//! The functions that are known, and how each is called. A name that is not here is an error when parsing.

/// What the arguments of a function are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arguments {
    /// Expressions, this many at least and at most.
    Between(usize, usize),
    /// The name of a type.
    TypeName,
}

macro_rules! functions {
    ($($family:ident { $($variant:ident $name:literal $arguments:expr;)* })*) => {
        /// A function of FHIRPath (§5), or of FHIR's additions to it (FHIR R4 §2.9.1.5).
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Function { $($($variant,)*)* }

        /// Functions of one sort: each family is a file.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Family { $($family,)* }

        impl Function {
            pub(crate) const ALL: &'static [Self] = &[$($(Self::$variant,)*)*];

            /// As it is written.
            pub(crate) fn name(self) -> &'static str {
                match self { $($(Self::$variant => $name,)*)* }
            }

            pub(crate) fn arguments(self) -> Arguments {
                use Arguments::{Between, TypeName};
                match self { $($(Self::$variant => $arguments,)*)* }
            }

            pub(crate) fn family(self) -> Family {
                match self { $($(Self::$variant)|* => Family::$family,)* }
            }
        }
    };
}

functions! {
    Existence {
        All "all" Between(1, 1);
        AllFalse "allFalse" Between(0, 0);
        AllTrue "allTrue" Between(0, 0);
        AnyFalse "anyFalse" Between(0, 0);
        AnyTrue "anyTrue" Between(0, 0);
        Count "count" Between(0, 0);
        Empty "empty" Between(0, 0);
        Exists "exists" Between(0, 1);
        Is "is" TypeName;
        Not "not" Between(0, 0);
    }
    Filter {
        As "as" TypeName;
        First "first" Between(0, 0);
        Last "last" Between(0, 0);
        OfType "ofType" TypeName;
        Repeat "repeat" Between(1, 1);
        Select "select" Between(1, 1);
        Single "single" Between(0, 0);
        Skip "skip" Between(1, 1);
        Tail "tail" Between(0, 0);
        Take "take" Between(1, 1);
        Where "where" Between(1, 1);
    }
    Sets {
        Combine "combine" Between(1, 1);
        Distinct "distinct" Between(0, 0);
        Exclude "exclude" Between(1, 1);
        Intersect "intersect" Between(1, 1);
        IsDistinct "isDistinct" Between(0, 0);
        SubsetOf "subsetOf" Between(1, 1);
        SupersetOf "supersetOf" Between(1, 1);
        Union "union" Between(1, 1);
    }
    Convert {
        ConvertsToBoolean "convertsToBoolean" Between(0, 0);
        ConvertsToDate "convertsToDate" Between(0, 0);
        ConvertsToDateTime "convertsToDateTime" Between(0, 0);
        ConvertsToDecimal "convertsToDecimal" Between(0, 0);
        ConvertsToInteger "convertsToInteger" Between(0, 0);
        ConvertsToQuantity "convertsToQuantity" Between(0, 0);
        ConvertsToString "convertsToString" Between(0, 0);
        ConvertsToTime "convertsToTime" Between(0, 0);
        ToBoolean "toBoolean" Between(0, 0);
        ToDate "toDate" Between(0, 0);
        ToDateTime "toDateTime" Between(0, 0);
        ToDecimal "toDecimal" Between(0, 0);
        ToInteger "toInteger" Between(0, 0);
        ToQuantity "toQuantity" Between(0, 0);
        ToString "toString" Between(0, 0);
        ToTime "toTime" Between(0, 0);
    }
    Strings {
        Contains "contains" Between(1, 1);
        EndsWith "endsWith" Between(1, 1);
        IndexOf "indexOf" Between(1, 1);
        Join "join" Between(0, 1);
        LastIndexOf "lastIndexOf" Between(1, 1);
        Length "length" Between(0, 0);
        Lower "lower" Between(0, 0);
        Matches "matches" Between(1, 1);
        MatchesFull "matchesFull" Between(1, 1);
        Replace "replace" Between(2, 2);
        ReplaceMatches "replaceMatches" Between(2, 2);
        Split "split" Between(1, 1);
        StartsWith "startsWith" Between(1, 1);
        Substring "substring" Between(1, 2);
        ToChars "toChars" Between(0, 0);
        Trim "trim" Between(0, 0);
        Upper "upper" Between(0, 0);
    }
    Math {
        Abs "abs" Between(0, 0);
        Aggregate "aggregate" Between(1, 2);
        Avg "avg" Between(0, 0);
        Ceiling "ceiling" Between(0, 0);
        Floor "floor" Between(0, 0);
        Max "max" Between(0, 0);
        Min "min" Between(0, 0);
        Round "round" Between(0, 1);
        Sum "sum" Between(0, 0);
        Truncate "truncate" Between(0, 0);
    }
    Utility {
        Children "children" Between(0, 0);
        Descendants "descendants" Between(0, 0);
        Iif "iif" Between(2, 3);
        Now "now" Between(0, 0);
        TimeOfDay "timeOfDay" Between(0, 0);
        Today "today" Between(0, 0);
        Trace "trace" Between(1, 2);
    }
    Fhir {
        Extension "extension" Between(1, 1);
        GetValue "getValue" Between(0, 0);
        HasValue "hasValue" Between(0, 0);
        HtmlChecks "htmlChecks" Between(0, 0);
        Resolve "resolve" Between(0, 0);
    }
}

impl Function {
    /// The function of that name.
    pub(crate) fn of(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|function| function.name() == name)
    }

    /// Whether its pattern is a regular expression that can be compiled when parsing.
    pub(crate) fn takes_pattern(self) -> bool {
        matches!(self, Self::Matches | Self::MatchesFull | Self::ReplaceMatches)
    }

    /// What to say of a name that is no function here.
    pub(crate) fn unknown(name: &str) -> String {
        let nearest = Self::ALL
            .iter()
            .map(|function| (distance(&name.to_lowercase(), &function.name().to_lowercase()), function.name()))
            .min();
        let hint = match nearest {
            Some((distance, nearest)) if distance <= 2.max(name.len() / 4) => format!("did you mean {nearest}()? "),
            _ => String::new(),
        };
        let mut names: Vec<_> = Self::ALL.iter().map(|function| function.name()).collect();
        names.sort_unstable();
        format!("the function {name}() is not known; {hint}There are: {}", names.join(", "))
    }
}

/// The Levenshtein distance: how many letters must change.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.chars().count()).collect();
    for (at, letter) in left.chars().enumerate().take(40) {
        let mut diagonal = at;
        let mut before = at + 1;
        let mut next = vec![before];
        for (other, above) in right.chars().zip(row.iter().skip(1)) {
            before = (diagonal + usize::from(letter != other)).min(above + 1).min(before + 1);
            diagonal = *above;
            next.push(before);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}
