from tools.sim.cluster import Simulation


def test_a_simulation_is_repeatable_and_keeps_its_size() -> None:
    made = [Simulation(30, seed=7), Simulation(30, seed=7)]
    for each in made:
        each.fill(300)
        for _ in range(100):
            each.end_one()
            each.place(each.requests.next())
    loads = [[each.fleet.containers(host.id) for host in each.hosts] for each in made]
    assert loads[0] == loads[1]
    assert sum(loads[0]) == made[0].containers == 300
