//! Which requests are let in now, and which wait.
//!
//! rmcp starts a task for each request that it is given, without limit. So the transport gives it only as many as
//! there is room for and parks the rest, in their order. Everything else a host sends is let through at once: a
//! cancellation, a ping or the answer to a question of ours must not wait behind calls that wait themselves. Only when
//! the park is full as well does the transport stop reading, and the pipe itself holds the host back.

use std::collections::{HashMap, VecDeque};

use rmcp::model::{ClientJsonRpcMessage, ClientRequest, JsonRpcMessage, RequestId};

use super::Limits;

/// The requests that were let in and those that wait.
#[derive(Debug)]
pub(super) struct Admission {
    limits: Limits,
    /// Requests without an answer so far, and how long each one's line was.
    in_flight: HashMap<RequestId, usize>,
    in_flight_bytes: usize,
    parked: VecDeque<Parked>,
    parked_bytes: usize,
}

#[derive(Debug)]
struct Parked {
    id: RequestId,
    request: ClientRequest,
    size: usize,
}

impl Admission {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, in_flight: HashMap::new(), in_flight_bytes: 0, parked: VecDeque::new(), parked_bytes: 0 }
    }

    /// Takes a request from a line of `size` bytes; gives it back if it may go on now. `congested`: the host is not
    /// reading its answers.
    pub(super) fn offer(
        &mut self,
        id: RequestId,
        request: ClientRequest,
        size: usize,
        congested: bool,
    ) -> Option<ClientJsonRpcMessage> {
        let overtakes = matches!(request, ClientRequest::PingRequest(_));
        let parked = Parked { id, request, size };
        let may_go = if overtakes {
            self.in_flight.len() < self.limits.in_flight.saturating_mul(2) && !self.in_flight.contains_key(&parked.id)
        } else {
            self.parked.is_empty() && !congested && self.has_room(&parked)
        };
        if may_go {
            return Some(self.let_in(parked));
        }
        self.parked_bytes += parked.size;
        self.parked.push_back(parked);
        None
    }

    /// A parked request for which there is room by now.
    pub(super) fn next(&mut self, congested: bool) -> Option<ClientJsonRpcMessage> {
        if self.parked.is_empty() || congested {
            return None;
        }
        let index = self.parked.iter().position(|parked| self.has_room(parked))?;
        let parked = self.parked.remove(index)?;
        self.parked_bytes = self.parked_bytes.saturating_sub(parked.size);
        Some(self.let_in(parked))
    }

    /// The request has its answer.
    pub(super) fn answered(&mut self, id: &RequestId) {
        if let Some(size) = self.in_flight.remove(id) {
            self.in_flight_bytes = self.in_flight_bytes.saturating_sub(size);
        }
    }

    /// The host does not want the answer any more. True if the request was still parked: it is gone then, and nobody
    /// else needs to hear of it.
    pub(super) fn cancelled(&mut self, id: &RequestId) -> bool {
        if self.in_flight.contains_key(id) {
            self.answered(id);
            return false;
        }
        let Some(index) = self.parked.iter().position(|parked| parked.id == *id) else {
            return false;
        };
        let size = self.parked.remove(index).map_or(0, |parked| parked.size);
        self.parked_bytes = self.parked_bytes.saturating_sub(size);
        true
    }

    /// Whether everything let in has its answer.
    pub(super) fn none_in_flight(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// Whether nothing waits.
    pub(super) fn none_parked(&self) -> bool {
        self.parked.is_empty()
    }

    /// Whether no more may be parked.
    pub(super) fn is_full(&self) -> bool {
        self.parked.len() >= self.limits.parked || self.parked_bytes >= self.limits.parked_bytes
    }

    /// An id that is in flight is not let in twice: rmcp would keep only one of the two answers.
    fn has_room(&self, parked: &Parked) -> bool {
        let fits = self.in_flight.is_empty()
            || (self.in_flight.len() < self.limits.in_flight
                && self.in_flight_bytes + parked.size <= self.limits.in_flight_bytes);
        fits && !self.in_flight.contains_key(&parked.id)
    }

    fn let_in(&mut self, parked: Parked) -> ClientJsonRpcMessage {
        let Parked { id, request, size } = parked;
        self.in_flight_bytes += size;
        self.in_flight.insert(id.clone(), size);
        JsonRpcMessage::request(request, id)
    }
}

#[cfg(test)]
mod tests {
    use rmcp::model::{CustomRequest, PingRequest};

    use super::*;

    fn admission(in_flight: usize, parked: usize) -> Admission {
        Admission::new(Limits { in_flight, parked, in_flight_bytes: 100, parked_bytes: 100, ..Limits::default() })
    }

    fn offer(admission: &mut Admission, id: i64, size: usize) -> Option<i64> {
        let request = ClientRequest::CustomRequest(CustomRequest::new("x", None));
        number(admission.offer(RequestId::Number(id), request, size, false))
    }

    fn number(message: Option<ClientJsonRpcMessage>) -> Option<i64> {
        match message?.into_request()?.1 {
            RequestId::Number(id) => Some(id),
            RequestId::String(_) => None,
        }
    }

    #[test]
    fn what_has_no_room_waits_in_its_order() {
        let mut admission = admission(2, 3);
        assert_eq!(offer(&mut admission, 1, 1), Some(1));
        assert_eq!(offer(&mut admission, 2, 1), Some(2));
        for id in 3..6 {
            assert!(!admission.is_full());
            assert_eq!(offer(&mut admission, id, 1), None);
        }
        assert!(admission.is_full());
        assert_eq!(number(admission.next(false)), None);
        admission.answered(&RequestId::Number(2));
        assert_eq!(number(admission.next(true)), None);
        assert_eq!(number(admission.next(false)), Some(3));
        assert!(admission.cancelled(&RequestId::Number(4)));
        assert!(!admission.cancelled(&RequestId::Number(1)));
        assert_eq!(number(admission.next(false)), Some(5));
        assert!(admission.none_parked());
    }

    #[test]
    fn bytes_count_as_well_as_requests() {
        let mut admission = admission(10, 10);
        assert_eq!(offer(&mut admission, 1, 500), Some(1));
        assert_eq!(offer(&mut admission, 2, 1), None);
        assert_eq!(offer(&mut admission, 3, 100), None);
        assert!(admission.is_full());
        admission.answered(&RequestId::Number(1));
        assert_eq!(number(admission.next(false)), Some(2));
        assert_eq!(number(admission.next(false)), None);
        admission.answered(&RequestId::Number(2));
        assert_eq!(number(admission.next(false)), Some(3));
    }

    #[test]
    fn an_id_in_use_waits_for_its_answer_and_blocks_nobody() {
        let mut admission = admission(10, 10);
        assert_eq!(offer(&mut admission, 1, 1), Some(1));
        assert_eq!(offer(&mut admission, 1, 1), None);
        assert_eq!(offer(&mut admission, 2, 1), None);
        assert_eq!(number(admission.next(false)), Some(2));
        assert_eq!(number(admission.next(false)), None);
        admission.answered(&RequestId::Number(1));
        assert_eq!(number(admission.next(false)), Some(1));
    }

    #[test]
    fn a_ping_overtakes() {
        let mut admission = admission(1, 10);
        assert_eq!(offer(&mut admission, 1, 1), Some(1));
        assert_eq!(offer(&mut admission, 2, 1), None);
        let ping = ClientRequest::PingRequest(PingRequest::default());
        assert_eq!(number(admission.offer(RequestId::Number(3), ping, 1, true)), Some(3));
    }
}
