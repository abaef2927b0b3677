"""What people prefer: reward model, PPO and DPO."""
