"""What the judge says of made-up samples. Run by tests/lint/run, as it needs no server."""
import sys
import unittest

sys.dont_write_bytecode = True

import budgets  # noqa: E402
import report  # noqa: E402


def samples(**cpu):
    return {name.replace('_', '-'): [{'cpu': x, 'user': x / 2, 'requests': 1, 'bytes': 1} for x in (value, value, value)]
            for name, value in cpu.items()}


def by_key(verdicts):
    return {v.key: v for v in verdicts}


class Judgement(unittest.TestCase):
    def of_return(self, **cpu):
        return by_key(budgets.of_workload('return', '1 return 200', samples(**cpu), 'responder'))

    def test_who_is_within_the_floor_need_not_beat_the_best_peer(self):
        found = self.of_return(moonphase=10.9, nginx=12, responder=10)
        self.assertTrue(found['return/floor'].met)
        peer = found['return/peer']
        self.assertEqual((peer.met, peer.excused, peer.missed), (False, True, False))
        self.assertIs(peer.floor, found['return/floor'])

    def test_who_is_not_within_the_floor_must(self):
        found = self.of_return(moonphase=11.1, nginx=12, responder=10)
        self.assertEqual([v.missed for v in found.values()], [True, True])

    def test_who_beats_the_best_peer_needs_no_excuse(self):
        found = self.of_return(moonphase=10, nginx=12.1, haproxy=20, responder=10)
        self.assertEqual([v.met for v in found.values()], [True, True])
        self.assertFalse(found['return/peer'].excused)

    def test_the_floor_program_is_no_peer(self):
        self.assertIn('nginx', self.of_return(moonphase=10, nginx=20, responder=9.5)['return/peer'].what)

    def test_without_a_floor_program_nobody_is_excused(self):
        found = self.of_return(moonphase=10, nginx=11)
        self.assertEqual(list(found), ['return/peer'])
        self.assertTrue(found['return/peer'].missed)

    def test_turns_go_on_while_they_disagree(self):
        def count(*ours):
            turns = {name: [{'cpu': x, 'user': x, 'requests': 1, 'bytes': 1} for x in values]
                     for name, values in (('moonphase', ours), ('responder', [10] * 5), ('nginx', [20] * 5))}
            return len(list(budgets.turns(5, lambda: budgets.of_workload('return', '1 return 200', turns, 'responder'))))

        self.assertEqual(count(10.1, 10.9, 10.5, 10.2, 10.8), 5)
        self.assertEqual(count(10.1, 10.9, 11.1, 10.2, 10.8), 10)
        self.assertEqual(count(11.1, 11.9, 11.5, 11.2, 12), 5)

    def test_turns_do_not_go_on_for_what_is_excused(self):
        turns = {'moonphase': [{'cpu': 10.5}] * 5, 'responder': [{'cpu': 10}] * 5, 'nginx': [{'cpu': x} for x in (12, 12, 12, 12, 13)]}
        self.assertEqual(len(list(budgets.turns(5, lambda: budgets.of_workload('return', '', turns, 'responder')))), 5)

    def test_tls(self):
        results = {'tls': {'handshake': samples(moonphase=109, nginx=120, tls_responder_close=100),
                           'https': samples(moonphase=25, nginx=26, tls_responder=20),
                           'http2': samples(moonphase=4, h2o=4.4)}}
        found = by_key(budgets.of_tls(results))
        self.assertEqual({k: [s for s in ('met', 'excused', 'missed') if getattr(v, s)] for k, v in found.items()},
                         {'tls-handshake/floor': ['met'], 'tls-handshake': ['excused'], 'tls-https/floor': ['missed'],
                          'tls-https': ['missed'], 'tls-http2': ['missed']})

    def test_many_entries(self):
        def rows(few, many):
            return {'10': {'cpu': [few]}, '10000': {'cpu': [many]}}

        def judge(kind):
            found = by_key(budgets.of_many({'many': {kind: {'moonphase': rows(10, 10.9), 'nginx': rows(11, 12),
                                                            'responder': {'10000': {'cpu': [10]}}}}}))
            return {k: [s for s in ('met', 'excused', 'missed') if getattr(v, s)] for k, v in found.items()}

        self.assertEqual(judge('locations'), {'many-locations': ['met'], 'many-locations/peer': ['excused']})
        self.assertEqual(judge('regex'), {'many-regex': ['met'], 'many-regex/peer': ['missed']})

    def test_the_report_names_each_once_the_missed_first(self):
        verdicts = [*self.of_return(moonphase=10.9, nginx=12, responder=10).values(),
                    *budgets.of_tls({'tls': {'http2': samples(moonphase=4, h2o=4.4)}})]
        missed, excused, _, met = report.budget_sections(verdicts, {'tls-http2': 'because'}, {})
        self.assertIn('Budgets missed: 1\n', missed)
        self.assertIn('| because |', missed)
        self.assertIn('best peer: 1\n', excused)
        self.assertIn('| 1 return 200: CPU, best peer (nginx) against ours | 1.10 (1.10 to 1.10) | >= 1.2 | '
                      '1.09 (1.09 to 1.09) | <= 1.1 |', excused)
        self.assertIn('Budgets met: 1\n', met)

    def test_the_report_shows_what_is_just_missed(self):
        line = [report.budget_line(self.of_return(moonphase=x, responder=10)['return/floor'], {})[1] for x in (10.99, 11.03)]
        self.assertEqual(line, ['1.10 (1.10 to 1.10)', '1.103 (1.10 to 1.10)'])

    def test_the_report_says_how_busy_a_server_was_where_that_was_noted(self):
        self.assertEqual(report.busy([{'busy': 0.9}, {'busy': 1.0}, {'busy': 0.95}]), '95 %')
        self.assertEqual(report.busy([{'cpu': 1}]), '-')


if __name__ == '__main__':
    unittest.main()
