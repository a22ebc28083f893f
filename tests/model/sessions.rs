//! The session: explored, and broken.

use twotap::ceremony::refusals::{Answer, REFUSALS, Run};

use crate::{
    breaks,
    closing::{CLOSABLE, Closing, ENDED, NEVER_REVOKED},
    explore::IN_THE_END,
    holds,
};

fn shipped(most: u8) -> Closing {
    Closing {
        most,
        refusals: REFUSALS,
        run: Run::after,
        regions: 2,
        steward_first: true,
        dated: true,
        asks_what_is_kept: true,
        waits_for_the_end: true,
        sweeps: true,
        resumes: true,
    }
}

#[test]
fn every_session_has_its_end_and_revoked_was_seen_refused() {
    holds("a session", "two Regions, any 6 faults", &shipped(6));
}

#[test]
fn every_mutant_of_a_closing_is_found() {
    let counts_what_shows_nothing: fn(Option<Run>, Answer, _) -> _ = |run, answer, at| {
        let answer = match answer {
            Answer::Unclear => Answer::Refused,
            clear => clear,
        };
        Run::after(run, answer, at)
    };
    let forgives_what_was_allowed: fn(Option<Run>, Answer, _) -> _ = |run, answer, at| match answer
    {
        Answer::Allowed => run,
        other => Run::after(run, other, at),
    };
    let mutants = [
        (
            "believes the first refusal",
            Closing {
                refusals: 1,
                ..shipped(3)
            },
            NEVER_REVOKED,
        ),
        (
            "counts a probe that shows nothing",
            Closing {
                run: counts_what_shows_nothing,
                ..shipped(3)
            },
            NEVER_REVOKED,
        ),
        (
            "an allowed probe does not end a run",
            Closing {
                run: forgives_what_was_allowed,
                ..shipped(3)
            },
            NEVER_REVOKED,
        ),
        (
            "observes one Region of two",
            Closing {
                regions: 1,
                ..shipped(3)
            },
            NEVER_REVOKED,
        ),
        (
            "the operator's session first",
            Closing {
                steward_first: false,
                ..shipped(3)
            },
            CLOSABLE,
        ),
        (
            "no date in the session's policy",
            Closing {
                dated: false,
                ..shipped(3)
            },
            ENDED,
        ),
        (
            "a failed minting is taken for none",
            Closing {
                asks_what_is_kept: false,
                ..shipped(3)
            },
            ENDED,
        ),
        (
            "expired as soon as nothing is kept",
            Closing {
                waits_for_the_end: false,
                ..shipped(3)
            },
            ENDED,
        ),
        (
            "what is kept is forgotten by the closing worker alone",
            Closing {
                sweeps: false,
                ..shipped(3)
            },
            IN_THE_END,
        ),
        (
            "an agent that was restarted forgets to close",
            Closing {
                resumes: false,
                ..shipped(3)
            },
            IN_THE_END,
        ),
    ];
    for (name, model, promise) in mutants {
        breaks(name, &model, promise);
    }
}
