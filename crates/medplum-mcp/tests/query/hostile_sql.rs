//! Statements that mean harm: refused or bounded, and the server answers afterwards as before.

use serde_json::{Value, json};

use crate::Clinic;

/// Refused before anything is fetched.
const REFUSED: &[&str] = &[
    "attach database '/tmp/x.db' as x",
    "select 1; attach database ':memory:' as x",
    "detach database main",
    "pragma database_list",
    "pragma journal_mode = wal",
    "pragma temp_store_directory = '/tmp'",
    "vacuum",
    "vacuum into '/tmp/stolen.db'",
    "insert into Observation values (1)",
    "insert into Observation select * from Observation",
    "replace into Observation select * from Observation",
    "update Observation set status = 'x'",
    "delete from Observation",
    "with a as (select 1) delete from Observation",
    "with a as (select 1) update Observation set status = 'x' returning id",
    "drop table Observation",
    "alter table Observation rename to x",
    "create table x (a)",
    "create temp table x as select * from Observation",
    "create index i on Observation (id)",
    "create view v as select 1",
    "create trigger t after insert on Observation begin select 1; end",
    "create temp trigger t after insert on Observation begin select 1; end",
    "create virtual table x using fts5(a)",
    "create virtual table x using rtree(a, b, c)",
    "begin",
    "commit",
    "rollback",
    "savepoint s",
    "analyze",
    "reindex",
    "explain select 1",
    "select load_extension('x.so')",
    "select readfile('/etc/passwd')",
    "select writefile('/tmp/x', json) from Observation",
    "select edit('x')",
    "select fts3_tokenizer('simple')",
    "select zeroblob(2000000000)",
    "select randomblob(2000000000)",
    "select sqlite_compileoption_get(0)",
    "select last_insert_rowid()",
    "select json_patch(json, json) from Observation",
    "select * from sqlite_master",
    "select * from sqlite_schema",
    "select sql from main.sqlite_master",
    "select * from sqlite_temp_master",
    "select count(*) from sqlite_master",
    "select * from pragma_database_list",
    "select count(*) from pragma_table_list",
    "select * from pragma_table_info('Observation')",
    "select * from dbstat",
    "select count(*) from dbstat",
    "select * from fts3tokenize('simple', 'a b')",
    "select * from generate_series(1, 1000000000)",
    "select status regexp '(a+)+$' from Observation",
    "select status match 'x' from Observation",
    "select id from Observation where id = ?1",
    "select id from Observation where id = :id",
    "select 1 /* ; */ ; drop table Observation",
    "select 1;\0 drop table Observation",
];

/// Run, and ended or cut somewhere; each is rows or an error.
const BOUNDED: &[&str] = &[
    "with recursive c(n) as (select 1 union all select n + 1 from c) select count(*) from c",
    "with recursive c(n) as (select 1 union all select n + 1 from c) select n from c",
    "select count(*) from Observation a, Observation b, Observation c, Observation d",
    "select a.json || b.json || c.json from Observation a, Observation b, Observation c",
    "select group_concat(json) from Observation",
    "select group_concat(a.json) from Observation a, Observation b",
    "select json_group_array(a.json) from Observation a, Observation b",
    "select length(printf('%2000000000d', 1))",
    "select length(printf('%.2000000000f', 1.0))",
    "select length(printf('%*d', 2147483647, 1))",
    "select length(hex(printf('%1900000s', 'x')))",
    "select length(quote(printf('%1900000s', '''''')))",
    "select length(replace(printf('%1000000s', 'x'), ' ', printf('%1000000s', 'y')))",
    "select instr(replace(printf('%1900000s', 'x'), ' ', 'a'), replace(printf('%900000s', 'b'), ' ', 'a'))",
    "select length(trim(replace(printf('%1900000s', 'x'), ' ', 'a'), printf('%1900000s', 'a')))",
    "select printf('%1900000s', 'b') like '%a%a%a%a%a%a%a%a%a%a%a%a%a%a%a%a%a%a%a%a%b%c'",
    "select replace(printf('%1900000s', 'b'), ' ', 'a') like '%a_%a_%a_%a_%a_%a_%a_%a_%a_%a_%a_%b%c'",
    "select replace(printf('%1900000s', 'b'), ' ', 'a') glob '*a*a*a*a*a*a*a*a*a*a*[b-c]*d'",
    "select 'x' like printf('%100000s', '%')",
    "select count(*) from Observation o, json_tree(o.json) a, json_tree(o.json) b, json_tree(o.json) c",
    "select json_extract(printf('%s%1000000s', '[', ']'), '$[1]')",
    "select json_valid(replace(printf('%900000s', ''), ' ', '['))",
    "select json(replace(printf('%900000s', ''), ' ', '{\"a\":'))",
    "select json_group_object(a.id || b.id, a.json) from Observation a, Observation b",
    "select * from Observation a, Observation b, Observation c order by random_is_no_function",
    "select a.json from Observation a, Observation b order by a.json, b.json",
    "select distinct a.id || b.id from Observation a, Observation b",
    "select row_number() over (order by a.json), group_concat(a.json) over () from Observation a, Observation b",
    "select max(group_concat(a.json)) over (order by a.id) from Observation a",
    "select 9223372036854775807 + 1, abs(-9223372036854775808)",
    "select cast(x'ff00fe' as text), x'00ff', 1e999, -1e999, 0.0/0",
    "select strftime(printf('%1900000s', '%Y'), 'now')",
    "select char(0, 65533, 1114112, -1)",
    "select upper(printf('%1900000s', 'ß')) = lower(printf('%1900000s', 'ß'))",
];

/// Statements that are built: too deep, too long, too many.
fn built() -> Vec<String> {
    let many = |part: &str, n: usize| part.repeat(n);
    let mut exploding = String::from("with c0 as (select 1 x union all select 2)");
    for n in 1..40 {
        exploding.push_str(&format!(", c{n} as (select a.x from c{0} a, c{0} b)", n - 1));
    }
    exploding.push_str(" select count(*) from c39");
    vec![
        format!("select {}1{}", many("(", 5_000), many(")", 5_000)),
        format!("select {}1", many("-", 5_000).replace('-', "- ")),
        format!("select {}1", many("not ", 4_000)),
        format!("select 1{}", many(" + 1", 4_000)),
        format!("select 1{}", many(" union all select 1", 1_000)),
        format!("select {}", many("(select ", 2_000)),
        format!("select 1 from Observation{}", many(", Observation", 200)),
        format!("select *{} from Observation", many(", *", 400)),
        format!("select coalesce({}1)", many("1, ", 500)),
        format!("select '{}'", many("x", 30_000)),
        format!("values (1){}", many(", (1)", 3_900)),
        format!("select case {} end", many("when 1 then 1 ", 1_300)),
        exploding,
    ]
}

#[tokio::test]
async fn refused() {
    let clinic = Clinic::with(&[]);
    let mut wrong = Vec::new();
    for sql in REFUSED {
        let told = clinic.call("query_resources", json!({"resource_type": "Observation", "sql": sql})).await;
        if !told.failed {
            wrong.push(format!("{sql}: {told:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(
        !clinic.sandbox.requests().iter().any(|request| request.path_and_query.contains("Observation")),
        "nothing was fetched"
    );
    alive(&clinic).await;
}

#[tokio::test]
async fn bounded() {
    let long = json!([{"text": "x".repeat(2_000)}]);
    let observations: Vec<Value> = (0..300)
        .map(|n| json!({"resourceType": "Observation", "id": format!("5a4d0b0c-0000-4000-8000-000000000{n:03}"), "status": "final", "code": {"text": "x"}, "note": long}))
        .collect();
    let clinic = Clinic::with(&observations);
    for sql in BOUNDED.iter().map(|sql| (*sql).to_owned()).chain(built()) {
        let arguments = json!({"resource_type": "Observation", "sql": sql});
        let started = std::time::Instant::now();
        let told = clinic.call("query_resources", arguments).await;
        let took = started.elapsed().as_millis();
        let size: usize = told.blocks.iter().map(|block| block.chars().count()).sum();
        let shown: String = sql.chars().take(80).collect();
        println!(
            "{took} ms: {shown}: {}",
            told.blocks.last().map_or("", String::as_str).chars().take(120).collect::<String>()
        );
        assert!(size <= 41_000, "{shown}: {size}");
        assert!(!told.failed || told.blocks[0].chars().count() < 2_500, "{shown}: {told:?}");
        alive(&clinic).await;
    }
}

/// A statement works, and what it reads was not changed.
async fn alive(clinic: &Clinic) {
    let told = clinic.call("query_resources", json!({"resource_type": "Patient", "sql": "select 1, 2"})).await;
    assert_eq!(told.rows()[0][1], 2);
}
