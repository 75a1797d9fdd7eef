"""All rules in their order: `decide(observed) -> Status`, pure.

What was seen is put into status first; then the first rule with an opinion moves the run. The list of rules reads as
the description of a rollout. Status leads and the cluster follows it, so no rule needs to know what was written before.
"""

from collections.abc import Callable

from sluice_operator.api.observation import Observation
from sluice_operator.api.status import Status
from sluice_operator.rollout.conditions import with_conditions
from sluice_operator.rollout.rules import failover, finishing, initializing, starting, steering, stepping
from sluice_operator.rollout.status_update import with_observations

Rule = Callable[[Observation], Status | None]

RULES: tuple[Rule, ...] = (
    finishing.a_promoted_revision_without_ready_pods_is_rolled_back,
    failover.an_undo_goes_on_when_its_revision_answers,
    failover.a_stable_that_is_ready_again_takes_its_requests_back,
    failover.a_stable_that_stays_dead_yields_to_the_newest_revision,
    failover.a_stable_without_ready_pods_leaves_its_requests_to_the_canary,
    failover.a_swap_without_ready_pods_on_either_side_is_a_failover,
    failover.a_watch_or_an_undo_without_ready_pods_yields_to_a_newer_revision,
    failover.a_failover_whose_status_was_lost_waits_for_a_person,
    failover.a_stable_without_ready_pods_leaves_its_requests_to_a_retiring_revision,
    finishing.the_previous_revision_asked_for_again_comes_back,
    stepping.a_canary_without_ready_pods_gets_no_traffic,  # whatever is asked: that is answered in the next look
    steering.a_command_is_answered,
    finishing.a_promotion_once_swapped_is_finished,  # a Fail then acts in Watching
    finishing.a_rollback_is_finished,
    initializing.a_corrected_spec_starts_the_first_revision_anew,
    starting.a_refused_model_is_rejected,
    starting.a_model_without_a_good_hold_out_is_rejected,
    starting.a_changed_signature_is_rejected,
    starting.a_changed_tolerance_is_rejected,
    stepping.a_failed_verdict_takes_traffic_back,
    steering.a_failed_objective_that_holds_pauses_the_run,
    stepping.a_newer_revision_replaces,
    stepping.a_changed_route_restarts_the_run,
    stepping.changed_terms_restart_the_run,
    starting.a_resting_revision_starts_only_while_nobody_answers,
    starting.a_taken_name_or_route_holds_the_start,
    starting.a_start_without_room_or_image_is_abandoned,
    starting.a_canary_that_does_not_get_ready_is_rejected,
    starting.a_hold_out_that_is_not_known_holds_the_start,
    initializing.a_first_revision_with_a_good_hold_out_may_serve,
    initializing.a_first_revision_that_serves_is_stable,
    steering.spec_suspend_pauses_the_run,
    steering.a_pause_that_is_over_ends,
    steering.a_paused_run_goes_no_further,
    steering.a_returning_revision_that_answers_takes_over,
    starting.a_ready_canary_that_answers_begins_to_step,
    starting.a_blue_green_revision_that_answers_takes_over,
    stepping.a_contested_route_keeps_its_weight,
    stepping.a_step_with_ready_pods_gets_its_weight,
    steering.a_step_with_a_pause_pauses_once_it_has_passed,
    stepping.a_passed_step_leads_to_the_next,
    stepping.a_clean_run_past_its_deadline_is_promoted,
    stepping.a_run_past_its_deadline_is_rolled_back,
    finishing.a_full_canary_is_swapped_in,
    finishing.a_watch_that_is_over_ends_in_stable,
    steering.a_suspended_object_starts_no_run,
    starting.a_new_revision_starts_a_run,
)


def decide(observed: Observation) -> Status:
    """The next status. Equal to `observed.status` when there is nothing to do."""
    seen = with_observations(observed)
    for rule in RULES:
        if (status := rule(seen)) is not None:
            return with_conditions(seen, status)
    return with_conditions(seen, seen.status)
