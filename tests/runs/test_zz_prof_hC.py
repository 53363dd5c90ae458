from collections import Counter
import tests.runs.test_machine as m
C=Counter()
od=m.Life.decide
def decide(self,s):
    v=s.project_id, s.run.branch, s.test
    C["late" if s.run.number < self.decided.get(v,(0,))[0] else "fresh"]+=1
    od(self,s)
m.Life.decide=decide
def test_p(world):
    m.test_whatever_happens_runs_keep_their_promises(world); print(C)
