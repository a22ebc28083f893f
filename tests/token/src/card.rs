//! The card: which application is selected, what is counted, which fault strikes.

use crate::{
    apdu::{Command, Response, Step, Sw, Transport},
    management::{self, Management},
    panel::{Panel, Strike},
    piv::{self, Fail, Piv, Reply},
};
use std::sync::Arc;

const INS_SELECT: u8 = 0xa4;

/// The application identifier's registered part, which must at least be named.
const AID_LEAST: usize = 5;

pub(crate) struct Card {
    piv: Piv,
    management: Management,
    selected: Option<Application>,
    transport: Transport,
    panel: Arc<Panel>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Application {
    Piv,
    Management,
}

impl Card {
    pub(crate) fn new(piv: Piv, management: Management, panel: Arc<Panel>) -> Self {
        Self {
            piv,
            management,
            selected: None,
            transport: Transport::default(),
            panel,
        }
    }

    /// Power off, power on or reset: whatever was volatile is gone.
    pub(crate) fn reset(&mut self) {
        self.selected = None;
        self.transport = Transport::default();
        self.piv.power_off();
    }

    /// Runs one APDU off the wire. `None`: no answer, the token was pulled out.
    pub(crate) fn apdu(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let ins = bytes.get(1).copied().unwrap_or(0);
        for strike in self.panel.count(ins) {
            let goes_on = match strike {
                Strike::Remove => {
                    self.panel.remove();
                    false
                }
                Strike::Slow(time) => self.panel.dawdle(time),
                Strike::Silent => self.panel.fall_silent(),
                Strike::Status(sw) => return Some(Response::from(Sw(sw)).to_bytes()),
                Strike::Reset => {
                    self.piv.power_off();
                    true
                }
            };
            if !goes_on {
                return None;
            }
        }
        self.answer(bytes).map(Response::to_bytes)
    }

    fn answer(&mut self, bytes: &[u8]) -> Option<Response> {
        let command = match Command::parse(bytes) {
            Ok(c) if c.cla & !0x10 == 0 => c,
            Ok(_) => return Some(Sw::BAD_CLA.into()),
            Err(sw) => return Some(sw.into()),
        };
        let command = match self.transport.accept(command) {
            Step::Run(command) => command,
            Step::Reply(response) => return Some(response),
        };
        let response = match self.run(&command) {
            Ok(data) => Response { data, sw: Sw::OK },
            Err(Fail::Status(sw)) => sw.into(),
            Err(Fail::Gone) => return None,
        };
        Some(self.transport.answer(response, command.le))
    }

    fn run(&mut self, c: &Command) -> Reply {
        match self.selected {
            _ if c.ins == INS_SELECT => self.select(c),
            Some(Application::Piv) => self.piv.run(c, self.panel.as_ref()),
            Some(Application::Management) => self.management.run(c),
            None => Err(Sw::BAD_INS.into()),
        }
    }

    /// SELECT by name. An unknown application leaves the current one selected.
    fn select(&mut self, c: &Command) -> Reply {
        if c.p1 != 0x04 {
            return Err(Sw::BAD_P1P2.into());
        }
        if self.piv.is_foreign() {
            return Err(Sw::NOT_FOUND.into());
        }
        let is = |aid: &[u8]| c.data.len() >= AID_LEAST && aid.starts_with(&c.data);
        let (application, reply) = if is(&piv::AID) {
            (Application::Piv, self.piv.select())
        } else if is(&management::AID) && c.data.len() == management::AID.len() {
            self.piv.deselect();
            (Application::Management, self.management.select())
        } else {
            return Err(Sw::NOT_FOUND.into());
        };
        self.selected = Some(application);
        Ok(reply)
    }
}

#[cfg(test)]
mod tests;
