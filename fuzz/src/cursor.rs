//! A query, and behind it a cursor as an agent passes one back; and places that a server could make one stand for.

use medplum_mcp::answer::cursor::{CursorKey, Position};

use super::lines;

/// See the module.
pub fn run(data: &[u8]) {
    let Some((query, cursor)) = lines(data) else { return };
    let key = CursorKey::new([7; 32]);
    if let Ok(position) = key.open(cursor, query) {
        // Only what was sealed with this key for this query opens, and there is one cursor for a place.
        assert_eq!(key.seal(&position, query), cursor.trim(), "{position:?}");
    }
    let other = CursorKey::new([8; 32]);
    let numbers: Vec<u32> = cursor.bytes().take(20).map(|byte| u32::from(byte).wrapping_mul(0x0101_0101)).collect();
    for position in [Position::Offset(cursor.len()), Position::Since(cursor.to_owned(), numbers)] {
        let sealed = key.seal(&position, query);
        assert_eq!(key.open(&sealed, query).ok().as_ref(), Some(&position), "{sealed}");
        assert!(key.open(&sealed, &format!("{query} ")).is_err(), "of another query");
        assert!(other.open(&sealed, query).is_err(), "of another server");
    }
}
