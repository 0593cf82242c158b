//! The order of what a search found.

use super::Hit;
use super::filter::parameter;
use super::request::{Request, Sort};
use crate::call::Call;
use crate::index::Index;
use crate::outcome::{Outcome, Result};

/// What one key of the order says of each hit.
enum Ranks {
    Of(Vec<u32>),
    Time,
    Id,
}

impl Call<'_> {
    /// Sorts. What has no value comes last, or first where the order is descending, as in the real server's database.
    pub(super) fn sort(&mut self, request: &Request, types: &[String], hits: &mut [Hit]) -> Result<()> {
        if request.cursor.is_some() {
            let by_time = Sort { code: "_lastUpdated".to_owned(), descending: false };
            self.sort_by(request, types, hits, &by_time)?;
        }
        for key in request.sort.iter().rev() {
            self.sort_by(request, types, hits, key)?;
        }
        Ok(())
    }

    /// By one key; what is equal keeps its order.
    fn sort_by(&mut self, request: &Request, types: &[String], hits: &mut [Hit], key: &Sort) -> Result<()> {
        match self.ranks(request, types, key)? {
            Ranks::Time => {
                let time = |hit: &Hit| self.record(types, *hit).and_then(|r| Some(r.live()?.last_updated));
                hits.sort_by_cached_key(|hit| {
                    let time = time(hit).unwrap_or_default();
                    if key.descending { -time } else { time }
                });
            }
            Ranks::Id => {
                hits.sort_by(|a, b| {
                    let id = |hit: &Hit| self.record(types, *hit).map(|record| &*record.id);
                    let order = id(a).cmp(&id(b));
                    if key.descending { order.reverse() } else { order }
                });
            }
            Ranks::Of(ranks) => hits.sort_by_key(|hit| {
                let rank = ranks.get(hit.slot as usize).copied().unwrap_or(u32::MAX);
                if key.descending { rank.wrapping_add(1) } else { rank }
            }),
        }
        Ok(())
    }

    fn ranks(&mut self, request: &Request, types: &[String], key: &Sort) -> Result<Ranks> {
        match key.code.as_str() {
            "_lastUpdated" => return Ok(Ranks::Time),
            "_id" => return Ok(Ranks::Id),
            _ => {}
        }
        let of_type = &request.resource_type;
        let parameter = parameter(self.engine.definitions(), of_type, &key.code);
        let parameter = parameter
            .filter(|_| types.len() == 1)
            .ok_or_else(|| Outcome::bad_request(format!("Unknown search parameter: {}", key.code)))?;
        let slots = self.state.store.of_type(of_type).map_or(0, |of_type| of_type.records.len());
        let index = self.index(of_type, parameter.code, || Index::new(parameter));
        Ok(Ranks::Of(index.map(|index| index.ranks(slots, key.descending)).unwrap_or_default()))
    }
}
